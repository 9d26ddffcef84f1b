"""The textbook's network and its gradient once more, as slow and as plain as they can be: float64 NumPy, one stream
after the other, Python loops over time. It knows nothing of the package that it checks.

    params = {"layers": [{"U": [I, H], "W": [H, H], "bh": [H]}, ...], "V": [H, V], "by": [V]}
    carry  = [[*B, H], ...], one for each layer
    batch  = {"x": [T, *B], "y": [T, *B], and "weight", "valid", "reset": [T, *B] or None}
"""

import numpy as np

ACTIVATIONS = {
    "tanh": (np.tanh, lambda a: 1 / np.cosh(a) ** 2),
    "relu": (lambda a: np.where(a > 0, a, 0.0), lambda a: np.where(a > 0, 1.0, 0.0)),
    "linear": (lambda a: a, lambda a: np.ones(a.shape)),
}
"""Each function and its derivative, both of the argument."""


def forward_stream(params, carry, x, valid, reset, activation):
    """One stream, x [T]. Returns the logits [T, V], the last states, and the tape: for each step the (input, h before,
    argument) of every layer, and the last layer's h.
    """
    phi, _ = ACTIVATIONS[activation]
    states = [np.array(h) for h in carry]
    logits, tape = [], []
    for t in range(len(x)):
        below = np.zeros(params["layers"][0]["U"].shape[0])
        below[x[t]] = 1.0
        steps = []
        for index, layer in enumerate(params["layers"]):
            before = np.zeros_like(states[index]) if reset[t] else states[index]
            argument = below @ layer["U"] + before @ layer["W"] + layer["bh"]
            after = phi(argument) if valid[t] else before
            steps.append((below, before, argument))
            states[index] = below = after
        logits.append(below @ params["V"] + params["by"])
        tape.append((steps, below))
    return np.array(logits), states, tape


def backward_stream(params, tape, d_logits, valid, reset, activation, grads):
    """Adds one stream's gradient to `grads`. Returns the adjoint of the initial states."""
    _, derivative = ACTIVATIONS[activation]
    d_states = [np.zeros(layer["W"].shape[0]) for layer in params["layers"]]
    for t in reversed(range(len(tape))):
        steps, top = tape[t]
        grads["V"] += np.outer(top, d_logits[t])
        grads["by"] += d_logits[t]
        d_from_above = params["V"] @ d_logits[t]
        for index in reversed(range(len(steps))):
            layer, d_layer = params["layers"][index], grads["layers"][index]
            below, before, argument = steps[index]
            d_after = d_states[index] + d_from_above
            if valid[t]:
                d_argument = d_after * derivative(argument)
                d_layer["U"] += np.outer(below, d_argument)
                d_layer["W"] += np.outer(before, d_argument)
                d_layer["bh"] += d_argument
                d_from_above = layer["U"] @ d_argument
                d_before = layer["W"] @ d_argument
            else:
                d_from_above = np.zeros(layer["U"].shape[0])
                d_before = d_after
            d_states[index] = np.zeros_like(d_before) if reset[t] else d_before
    return d_states


def streams_of(batch):
    """The batch with its masks filled in and its batch axes made one: a dict of [T, N]."""
    shape = batch["x"].shape
    full = {
        "x": batch["x"],
        "y": batch["y"],
        "weight": np.ones(shape) if batch["weight"] is None else batch["weight"],
        "valid": np.ones(shape, bool) if batch["valid"] is None else batch["valid"],
        "reset": np.zeros(shape, bool) if batch["reset"] is None else batch["reset"],
    }
    return {name: np.asarray(array).reshape(shape[0], -1) for name, array in full.items()}


def run(params, carry, batch, activation, with_gradient):
    """Loss, gradient and last states of a window, and the smallest |argument| of any unit: how far relu's kink is."""
    streams = streams_of(batch)
    batch_shape = batch["x"].shape[1:]
    flat_carry = [h.reshape(-1, h.shape[-1]) for h in carry]
    total_weight = streams["weight"].sum()
    grads = {
        "layers": [{name: np.zeros(w.shape) for name, w in layer.items()} for layer in params["layers"]],
        "V": np.zeros(params["V"].shape),
        "by": np.zeros(params["by"].shape),
    }
    loss, kink_distance = 0.0, np.inf
    d_carry, new_carry = [np.zeros(h.shape) for h in flat_carry], [np.zeros(h.shape) for h in flat_carry]
    all_logits = []
    for n in range(streams["x"].shape[1]):
        x, y, weight, valid, reset = (streams[name][:, n] for name in ("x", "y", "weight", "valid", "reset"))
        logits, states, tape = forward_stream(params, [h[n] for h in flat_carry], x, valid, reset, activation)
        all_logits.append(logits)
        d_logits = np.zeros(logits.shape)
        for t in range(len(x)):
            odds = np.exp(logits[t] - logits[t].max())
            y_hat = odds / odds.sum()
            loss -= np.log(y_hat[y[t]]) * weight[t] / total_weight
            d_logits[t] = y_hat
            d_logits[t, y[t]] -= 1.0
            d_logits[t] *= weight[t] / total_weight
            if valid[t]:
                kink_distance = min([kink_distance, *(np.abs(argument).min() for _, _, argument in tape[t][0])])
        for index, state in enumerate(states):
            new_carry[index][n] = state
        if with_gradient:
            d_states = backward_stream(params, tape, d_logits, valid, reset, activation, grads)
            for index, d_state in enumerate(d_states):
                d_carry[index][n] = d_state
    return {
        "loss": loss,
        "params": grads,
        "carry": [d.reshape(h.shape) for d, h in zip(d_carry, carry, strict=True)],
        "new_carry": [state.reshape(h.shape) for state, h in zip(new_carry, carry, strict=True)],
        "logits": np.stack(all_logits, axis=1).reshape(*batch["x"].shape, -1) if batch_shape else all_logits[0],
        "kink_distance": kink_distance,
    }

"""The equations of every cell and option once more, as plain as they can be: float64 NumPy, one stream after the other,
Python loops over time, levels and gates. It knows nothing of the package that it checks.

All of them are analytic where they have a derivative, and take complex numbers too: Im L(θ + iε v) / ε is the slope of
the loss along v, exact to rounding, with no back-propagation in it.

    shape  = {"cell", "activation", "hidden", "residual", "directions", "leak", "dropout"}
    params = {"layers": [{"U": [I, G·H], "W": [H, G·H], [G·H] or absent, "bh": [G·H], and what else a layer has}, ...],
              "V", "by",
              "embedding": [V, E] or absent}; the layers of a bidirectional level stand next to each other
    carry  = [[B, states·H], ...], one for each layer
    batch  = {"x": [T, B], "y": [T, B], and "weight", "valid", "reset": [T, B], "noise": [levels, T, B, H], or None}
"""

import numpy as np

ACTIVATIONS = {"tanh": np.tanh, "relu": lambda a: np.where(a.real > 0, a, 0.0), "linear": lambda a: a}


def logistic(a):
    return 1.0 / (1.0 + np.exp(-a))


def standardise(gate):
    """One gate's units, mean 0 and variance 1."""
    centred = gate - gate.mean()
    return centred / np.sqrt((centred**2).mean() + 1e-5)


def product(x, matrix, gain, hidden):
    """x times a matrix, gate by gate: a list of [H], each normalised where there is a gain."""
    gates = []
    for first in range(0, matrix.shape[1], hidden):
        columns = slice(first, first + hidden)
        gate = x @ matrix[:, columns]
        gates.append(gate if gain is None else gain[columns] * standardise(gate))
    return gates


def recurrent_product(h, layer, hidden):
    """h W, gate by gate: a list of [H], or None where there is no W."""
    W = layer.get("W")
    if W is None:
        return None
    if W.ndim == 1:
        return [h * W[first : first + hidden] for first in range(0, len(W), hidden)]
    return product(h, W, layer.get("gain_z"), hidden)


def unit_step(shape, layer, state, x):
    """One step of one layer, by the equations of its paper: the new state."""
    H = shape["hidden"]
    h = state[:H]
    a = product(x, layer["U"], layer.get("gain_a"), H)
    a = [gate + layer["bh"][k * H : (k + 1) * H] for k, gate in enumerate(a)]
    z = recurrent_product(h, layer, H)
    phi = ACTIVATIONS[shape["activation"]]
    if shape["cell"] == "vanilla":
        return phi(a[0] + z[0])
    if shape["cell"] == "leaky":
        return (1 - shape["leak"]) * h + shape["leak"] * phi(a[0] + z[0])
    if shape["cell"] == "gru":
        z = [gate + layer["bz"][k * H : (k + 1) * H] for k, gate in enumerate(z)]
        r, u = logistic(a[0] + z[0]), logistic(a[1] + z[1])
        return (1 - u) * np.tanh(a[2] + r * z[2]) + u * h
    if shape["cell"] == "minimal_gated":
        f = logistic(a[0] + z[0] + layer["bz"][:H])
        return (1 - f) * h + f * np.tanh(a[1] + f * (z[1] + layer["bz"][H:]))
    if shape["cell"] == "min_gru":
        u = logistic(a[0])
        return (1 - u) * h + u * a[1]
    if shape["cell"] == "independent":
        return np.tanh(a[0] + z[0])
    if shape["cell"] == "crowded":
        shares = np.exp(a[0] + z[0] - 1)
        return shares / (1 + shares.sum()) + 0.5 * h
    if shape["cell"] == "lstm_1997":
        c = state[H:] + logistic(a[0] + z[0]) * (4 * logistic(a[1] + z[1]) - 2)
        return np.concatenate([logistic(a[2] + z[2]) * (2 * logistic(c) - 1), c])
    if shape["cell"] == "lstm_peephole":
        p_i, p_f, p_o = np.split(layer["own"], 3)
        c = logistic(a[1] + z[1] + p_f * state[H:]) * state[H:]
        c = c + logistic(a[0] + z[0] + p_i * state[H:]) * np.tanh(a[2] + z[2])
        return np.concatenate([logistic(a[3] + z[3] + p_o * c) * np.tanh(c), c])
    i, f, o = (logistic(a[k] + z[k]) for k in (0, 1, 3))
    c = f * state[H:] + i * np.tanh(a[2] + z[2])
    return np.concatenate([o * np.tanh(c), c])


def run_layer(shape, layer, state, xs, valid, reset):
    """One layer over the steps given: its last state, and h of each."""
    outputs = []
    for x, is_valid, is_reset in zip(xs, valid, reset, strict=True):
        if is_reset:
            state = layer.get("s0", np.zeros(len(state)))
        if is_valid:
            state = unit_step(shape, layer, state, x)
        outputs.append(state[: shape["hidden"]])
    return state, outputs


def run_stream(shape, params, carry, x, valid, reset, noise):
    """One stream: the last states, what the last level hands up at every step [T, ...], and the logits [T, V]."""
    rows = params.get("embedding", np.eye(len(params["layers"][0]["U"])))
    xs, states, directions = [rows[id] for id in x], [], shape["directions"]
    for level in range(len(params["layers"]) // directions):
        first = level * directions
        state, outputs = run_layer(shape, params["layers"][first], carry[first], xs, valid, reset)
        states.append(state)
        if directions == 2:
            turned = (xs[::-1], valid[::-1], reset[::-1])
            state, backward = run_layer(shape, params["layers"][first + 1], carry[first + 1], *turned)
            states.append(state)
            outputs = [np.concatenate(pair) for pair in zip(outputs, backward[::-1], strict=True)]
        if noise is not None:
            rate = shape["dropout"]
            outputs = [h * (noise[level][t] >= rate) / (1 - rate) for t, h in enumerate(outputs)]
        xs = [h + x for h, x in zip(outputs, xs, strict=True)] if shape["residual"] and level else outputs
    return states, np.array(xs), np.array([h @ params["V"] + params["by"] for h in xs])


def read(shape, params, carry, x):
    """The same of one stream of ids [T] with no masks."""
    return run_stream(shape, params, carry, x, [True] * len(x), [False] * len(x), None)


def run(shape, params, carry, batch):
    """Loss, last states [B, ...] of each layer, and logits [T, B, V] of a window."""
    T, B = batch["x"].shape
    weight = np.ones((T, B)) if batch["weight"] is None else batch["weight"]
    valid = np.ones((T, B), bool) if batch["valid"] is None else batch["valid"]
    reset = np.zeros((T, B), bool) if batch["reset"] is None else batch["reset"]
    loss, states, logits = 0.0, [], []
    for n in range(B):
        noise = None if batch["noise"] is None else [level[:, n] for level in batch["noise"]]
        before = [state[n] for state in carry]
        last, _, scores = run_stream(shape, params, before, batch["x"][:, n], valid[:, n], reset[:, n], noise)
        for t in range(T):
            odds = np.exp(scores[t])
            loss -= weight[t, n] * np.log(odds[batch["y"][t, n]] / odds.sum())
        states.append(last)
        logits.append(scores)
    return loss / weight.sum(), [np.array(layer) for layer in zip(*states, strict=True)], np.stack(logits, axis=1)

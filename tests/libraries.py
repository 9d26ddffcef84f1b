"""The same small networks in PyTorch and in Flax, built of the libraries' own parts: what they compute, and the
gradient. It knows nothing of the package that is held against them.
"""

import importlib
import json
import os
from typing import NamedTuple

import numpy as np

STEPS, STREAMS, VOCABULARY, EMBEDDING, HIDDEN = 5, 3, 5, 3, 4


class Case(NamedTuple):
    """A network of a library; embedded ids in the networks of two layers, one-hot rows in the others."""

    library: str
    cell: str
    layers: int
    directions: int

    def __str__(self):
        return "-".join(map(str, self))

    @property
    def input(self):
        return EMBEDDING if self.layers == 2 else VOCABULARY


SHAPES = [(1, 1), (2, 1), (1, 2), (2, 2)]
TORCH = [Case("torch", cell, *shape) for cell in ("rnn_tanh", "rnn_relu", "gru", "lstm") for shape in SHAPES]
FLAX = [Case("flax", cell, *shape) for cell in ("simple_tanh", "gru", "optimized_lstm") for shape in SHAPES]
FLAX += [Case("flax", "simple_relu", 2, 1), Case("flax", "lstm", 2, 1)]
CASES = TORCH + FLAX

Arrays = dict[str, np.ndarray]
"""x, y: ids. h0 (and c0): the state before. logits, loss, h1 (and c1). weight/<name>, gradient/<name>, gradient/h0 …"""


def require(library):
    """Returns a library; where it is missing, skips the test, or fails it under RNNJAX_REQUIRE_PARITY=1."""
    try:
        return importlib.import_module(library)
    except ImportError:
        import pytest  # late: the reference values are made without it

        (pytest.fail if os.environ.get("RNNJAX_REQUIRE_PARITY") else pytest.skip)(f"{library} is not installed")


def draw(case, shapes, has_memory):
    """Ids, states and weights of the given shapes."""
    rng = np.random.default_rng(CASES.index(case))
    arrays = {name: rng.integers(VOCABULARY, size=(STEPS, STREAMS)) for name in ("x", "y")}
    for name in ("h0", "c0") if has_memory else ("h0",):
        arrays[name] = rng.normal(size=(case.layers * case.directions, STREAMS, HIDDEN))
    return arrays, {name: 0.6 * rng.normal(size=shape) for name, shape in shapes.items()}


def run(case, dtype="float64") -> Arrays:
    """Runs a case in its library."""
    return {"torch": run_torch, "flax": run_flax}[case.library](case, dtype)


def torch_parts(case):
    """The modules of a network by name."""
    from torch import nn

    shape = (case.input, HIDDEN, case.layers)
    both = case.directions == 2
    if case.cell.startswith("rnn"):
        rnn = nn.RNN(*shape, bidirectional=both, nonlinearity=case.cell.removeprefix("rnn_"))
    else:
        rnn = {"gru": nn.GRU, "lstm": nn.LSTM}[case.cell](*shape, bidirectional=both)
    parts = {"rnn": rnn, "readout": nn.Linear(HIDDEN * case.directions, VOCABULARY)}
    return nn.ModuleDict(({"embedding": nn.Embedding(VOCABULARY, EMBEDDING)} if case.layers == 2 else {}) | parts)


def run_torch(case, dtype="float64") -> Arrays:
    import torch
    from torch.nn import functional

    parts = torch_parts(case).to(getattr(torch, dtype))
    leaves = dict(parts.named_parameters())
    given, weights = draw(case, {name: tuple(leaf.shape) for name, leaf in leaves.items()}, case.cell == "lstm")
    state = [torch.tensor(given[name], dtype=getattr(torch, dtype)) for name in ("h0", "c0") if name in given]
    with torch.no_grad():
        for name, leaf in leaves.items():
            leaf.copy_(torch.from_numpy(weights[name]))
    x, y = torch.from_numpy(given["x"]), torch.from_numpy(given["y"])
    rows = parts["embedding"](x) if case.layers == 2 else functional.one_hot(x, VOCABULARY).to(getattr(torch, dtype))
    for leaf in state:
        leaf.requires_grad_()
    hs, last = parts["rnn"](rows, tuple(state) if len(state) == 2 else state[0])
    logits = parts["readout"](hs)
    loss = functional.cross_entropy(logits.flatten(0, 1), y.flatten())
    loss.backward()
    last = last if isinstance(last, tuple) else (last,)
    found = {"logits": logits, "loss": loss} | dict(zip(("h1", "c1"), last, strict=False))
    found |= {f"weight/{name}": leaf for name, leaf in leaves.items()}
    found |= {f"gradient/{name}": leaf.grad for name, leaf in leaves.items()}
    found |= {f"gradient/{name}": leaf.grad for name, leaf in zip(("h0", "c0"), state, strict=False)}
    return given | {name: leaf.detach().numpy() for name, leaf in found.items()}


def flax_layer(case):
    """One layer, of one direction or both."""
    import flax.linen as nn

    kinds = {
        "simple_tanh": nn.SimpleCell,
        "simple_relu": lambda **options: nn.SimpleCell(activation_fn=nn.relu, **options),
        "gru": nn.GRUCell,
        "lstm": nn.LSTMCell,
        "optimized_lstm": nn.OptimizedLSTMCell,
    }
    make = lambda: nn.RNN(kinds[case.cell](features=HIDDEN, param_dtype=float), time_major=True, return_carry=True)
    return make() if case.directions == 1 else nn.Bidirectional(make(), make(), time_major=True, return_carry=True)


def flax_layer_params(case, named, level):
    """A layer's weights as its module wants them."""
    tree = {"": {}, "_reverse": {}}
    for name, leaf in named.items():
        layer, *path = name.split(".")
        for end, cell in tree.items():
            if layer == f"layer_{level}{end}":
                cell.setdefault(path[0], {})[path[1]] = leaf
    if case.directions == 1:
        return {"cell": tree[""]}
    return {"forward_rnn": {"cell": tree[""]}, "backward_rnn": {"cell": tree["_reverse"]}}


def flax_shapes(case):
    """The names and shapes of a network's weights, from the library's own initialisation of each layer."""
    import jax
    import jax.numpy as jnp

    shapes = {"embedding.embedding": (VOCABULARY, EMBEDDING)} if case.layers == 2 else {}
    for level in range(case.layers):
        width = HIDDEN * case.directions if level else case.input
        x = jnp.zeros((STEPS, STREAMS, width))
        params = jax.eval_shape(lambda x: flax_layer(case).init(jax.random.key(0), x), x)["params"]
        cells = [params] if case.directions == 1 else [params["forward_rnn"], params["backward_rnn"]]
        for end, cell in zip(("", "_reverse"), cells, strict=False):
            for dense, leaves in cell["cell"].items():
                shapes |= {f"layer_{level}{end}.{dense}.{leaf}": each.shape for leaf, each in leaves.items()}
    return shapes | {"readout.kernel": (HIDDEN * case.directions, VOCABULARY), "readout.bias": (VOCABULARY,)}


def flax_forward(case, named, state, x):
    """The logits, and the last state of every layer and direction; a state is (h,) or (h, c)."""
    import flax.linen as nn
    import jax
    import jax.numpy as jnp

    rows = jax.nn.one_hot(x, VOCABULARY)
    if case.layers == 2:
        embed = nn.Embed(VOCABULARY, EMBEDDING, param_dtype=float)
        rows = embed.apply({"params": {"embedding": named["embedding.embedding"]}}, x)
    pack = lambda index: tuple(part[index] for part in reversed(state)) if len(state) == 2 else state[0][index]
    unpack = lambda carry: tuple(reversed(carry)) if len(state) == 2 else (carry,)
    last = []
    for level in range(case.layers):
        first = level * case.directions
        carry = pack(first) if case.directions == 1 else (pack(first), pack(first + 1))
        params = {"params": flax_layer_params(case, named, level)}
        carry, rows = flax_layer(case).apply(params, rows, initial_carry=carry)
        last += [unpack(each) for each in ([carry] if case.directions == 1 else carry)]
    readout = nn.Dense(VOCABULARY, param_dtype=float)
    logits = readout.apply({"params": {leaf: named[f"readout.{leaf}"] for leaf in ("kernel", "bias")}}, rows)
    return logits, [jnp.stack(parts) for parts in zip(*last, strict=True)]


def run_flax(case, dtype="float64") -> Arrays:
    import jax
    import jax.numpy as jnp

    given, weights = draw(case, flax_shapes(case), "lstm" in case.cell)
    named = {name: jnp.asarray(array, dtype) for name, array in weights.items()}
    state = [jnp.asarray(given[name], dtype) for name in ("h0", "c0") if name in given]

    def loss(named, state):
        logits, last = flax_forward(case, named, state, given["x"])
        odds = jax.nn.log_softmax(logits)
        return -jnp.mean(jnp.take_along_axis(odds, given["y"][..., None], -1)), (logits, last)

    (value, (logits, last)), slopes = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))(named, state)
    found = {"logits": logits, "loss": value} | dict(zip(("h1", "c1"), last, strict=False))
    found |= {f"weight/{name}": leaf for name, leaf in named.items()}
    found |= {f"gradient/{name}": leaf for name, leaf in slopes[0].items()}
    found |= {f"gradient/{name}": leaf for name, leaf in zip(("h0", "c0"), slopes[1], strict=False)}
    return given | {name: np.asarray(leaf) for name, leaf in found.items()}


def write(path, results, versions):
    """Keeps results by case in one file: a vector each, and one index of names and shapes, as many small arrays would
    take more room than their numbers."""
    index = {str(case): {name: list(array.shape) for name, array in arrays.items()} for case, arrays in results.items()}
    vectors = {
        str(case): np.concatenate([np.ravel(array).astype(np.float64) for array in arrays.values()])
        for case, arrays in results.items()
    }
    np.savez_compressed(path, about=json.dumps({"versions": versions, "index": index}), **vectors)


def read(path):
    """Returns the results by case, as str, and the versions that they were made with."""
    with np.load(path) as file:
        about = json.loads(str(file["about"]))
        vectors = {case: file[case] for case in about["index"]}
    results = {}
    for case, shapes in about["index"].items():
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
        pieces = np.split(vectors[case], ends[:-1])
        arrays = {name: p.reshape(shape) for (name, shape), p in zip(shapes.items(), pieces, strict=True)}
        results[case] = arrays | {name: arrays[name].astype(np.int64) for name in ("x", "y")}
    return results, about["versions"]

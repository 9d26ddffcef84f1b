"""Outputs and gradients of PyTorch's and Flax's own cells, on the same weights: against the libraries themselves where
they are installed, and against what they computed before, kept in tests/parity.

RNNJAX_REQUIRE_PARITY=1 turns a library that is missing from a skipped test into a failed one.
"""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import libraries
import numpy as np
import pytest
from flax import traverse_util
from libraries import CASES, HIDDEN, Case, require

from rnnjax import interop
from rnnjax.gradients import autodiff, manual
from rnnjax.gradients.method import Window
from rnnjax.model.cells import Hyper
from rnnjax.model.network import Batch, Model, zero_carry
from rnnjax.model.recurrence import of_network
from rnnjax.model.rnn import apply

HERE = Path(__file__).parent / "parity"
UNITS = {"rnn": "vanilla", "simple": "vanilla", "gru": "gru", "lstm": "lstm", "optimized": "lstm"}


def model_of(case):
    kind, _, activation = case.cell.partition("_")
    return Model(
        libraries.VOCABULARY,
        HIDDEN,
        case.layers,
        activation if UNITS[kind] == "vanilla" else "tanh",
        cell=UNITS[kind],
        embedding=libraries.EMBEDDING if case.layers == 2 else 0,
        bidirectional=case.directions == 2,
    )


def to_params(library, model, named):
    """Weights by a library's names, as ours."""
    if library == "torch":
        return interop.torch.from_state_dict(model, named)
    return interop.flax.from_params(model, traverse_util.unflatten_dict(named, sep="."))


def to_carry(h, c=None):
    """States [layers, B, H] as our carry."""
    return tuple(h) if c is None else tuple(jnp.concatenate(pair, axis=-1) for pair in zip(h, c, strict=True))


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def compute(gradient, library, model, named, states, x, y):
    """Logits, loss and last states as the library has them, and our gradient, pulled back to its weights and states."""
    params, pull_params = jax.vjp(functools.partial(to_params, library, model), named)
    carry, pull_carry = jax.vjp(to_carry, *states)
    batch = Batch(x, y)
    result = gradient(of_network(model), Window(params, Hyper(), carry, batch))
    _, logits = apply(model, params, Hyper(), carry, batch)
    last = jnp.stack(result.new_carry)
    found = {"logits": logits, "loss": result.loss, "h1": last[..., :HIDDEN]}
    found |= {"c1": last[..., HIDDEN:]} if len(states) == 2 else {}
    found |= {f"gradient/{name}": slope for name, slope in pull_params(result.params)[0].items()}
    return found | {
        f"gradient/{name}": slope for name, slope in zip(("h0", "c0"), pull_carry(result.carry), strict=False)
    }


def check(case, reference, gradient=manual.gradient, tolerance=1e-10, gradient_tolerance=1e-10):
    """Raises AssertionError where we differ by more than tolerance x the largest entry of an array."""
    named = {name.removeprefix("weight/"): leaf for name, leaf in reference.items() if name.startswith("weight/")}
    states = tuple(
        jnp.asarray(reference[name], reference["logits"].dtype) for name in ("h0", "c0") if name in reference
    )
    found = compute(gradient, case.library, model_of(case), named, states, reference["x"], reference["y"])
    expected = {name: leaf for name, leaf in reference.items() if name[:2] not in ("x", "y", "h0", "c0", "we")}
    assert found.keys() == expected.keys()
    for name, theirs in expected.items():
        ours = np.asarray(found[name])
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype), name
        allowed = gradient_tolerance if name.startswith("gradient/") else tolerance
        assert np.abs(ours - theirs).max() <= allowed * np.abs(theirs).max(), name
        assert np.any(theirs), name


@functools.cache
def recorded(library):
    return libraries.read(HERE / f"{library}.npz")


def is_quick(case):
    """True of one layer, and of two in both directions; the slow tests have those between."""
    return case.layers == case.directions


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=() if is_quick(case) else pytest.mark.slow) for case in CASES], ids=str
)
def test_we_compute_what_the_library_once_did(case):
    check(case, recorded(case.library)[0][str(case)])


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_we_compute_what_the_library_does(case):
    require(case.library)
    check(case, libraries.run(case))


@pytest.mark.parametrize("case", [Case("torch", "gru", 2, 1), Case("flax", "optimized_lstm", 2, 1)], ids=str)
def test_our_automatic_gradient_is_the_library_s_too(case):
    check(case, recorded(case.library)[0][str(case)], autodiff.gradient)


@pytest.mark.slow
@pytest.mark.parametrize("cell", [("torch", "lstm"), ("torch", "rnn_tanh"), ("flax", "gru")], ids=str)
def test_we_agree_in_float32(cell):
    """Outputs to 1e-6; gradients are sums in another order, to 1e-5."""
    case = Case(*cell, 2, 1)
    require(case.library)
    check(case, libraries.run(case, "float32"), tolerance=1e-6, gradient_tolerance=1e-5)


def test_the_recorded_values_say_what_made_them_and_cover_every_case():
    for library in ["torch", "flax"]:
        results, versions = recorded(library)
        assert results.keys() == {str(case) for case in CASES if case.library == library}
        assert {library, "numpy", "python"} <= versions.keys()
        assert all(version[0].isdigit() for version in versions.values())


@pytest.mark.parametrize("case", [Case("torch", "gru", 2, 1), Case("flax", "lstm", 2, 1)], ids=str)
def test_a_library_that_differs_slightly_is_told(case):
    reference = recorded(case.library)[0][str(case)]
    for name in reference:
        if name not in ("x", "y"):
            with pytest.raises(AssertionError):
                check(case, reference | {name: reference[name] * (1 + 1e-8)})


def test_padding_is_that_of_pytorch_s_packed_sequences():
    """A bidirectional LSTM over three sequences of other lengths: held states are what packing leaves out."""
    torch = require("torch")
    case = Case("torch", "lstm", 1, 2)
    parts = libraries.torch_parts(case).double()
    lengths = torch.tensor([5, 3, 1])
    x = torch.randint(libraries.VOCABULARY, (5, 3), generator=torch.Generator().manual_seed(0))
    rows = torch.nn.functional.one_hot(x, libraries.VOCABULARY).double()
    packed, last = parts["rnn"](torch.nn.utils.rnn.pack_padded_sequence(rows, lengths))
    hs, _ = torch.nn.utils.rnn.pad_packed_sequence(packed)
    expected = parts["readout"](hs).detach().numpy()

    model = model_of(case)
    named = {name: leaf.detach().numpy() for name, leaf in parts.state_dict().items()}
    valid = np.arange(5)[:, None] < lengths.numpy()
    ids = jnp.asarray(x.numpy())
    batch = Batch(ids, ids, valid=jnp.asarray(valid))
    params = jax.tree.map(jnp.asarray, to_params("torch", model, named))
    carry, logits = jax.jit(apply, static_argnums=0)(model, params, Hyper(), zero_carry(model, (3,), float), batch)
    np.testing.assert_allclose(np.asarray(logits)[valid], expected[valid], rtol=0, atol=1e-12)
    for layer, state in enumerate(carry):
        np.testing.assert_allclose(state[:, :HIDDEN], last[0][layer].detach(), rtol=0, atol=1e-12)

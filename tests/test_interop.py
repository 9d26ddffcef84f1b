"""Files for other libraries: written, read by the library itself, read back; and one line for what does not fit."""

import io
import sys
from pathlib import Path

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from agreement import compare
from cases import HYPER, VOCABULARY, Case
from flax import serialization
from libraries import require

from rnnjax import interop
from rnnjax.errors import UserError
from rnnjax.interop import weights
from rnnjax.interop.safetensors import Network
from rnnjax.interop.torch import Names
from rnnjax.model.network import Batch, zero_carry
from rnnjax.model.rnn import apply

CASES = [
    Case("vanilla", "relu", 2, options="e"),
    Case("gru", layers=2, options="ed"),
    Case("gru", layers=1, options="b"),
    Case("lstm", layers=2, options="b"),
]
EVERYTHING = Case("leaky", "relu", 2, options="enxsd")
IDS = np.arange(12).reshape(4, 3) % VOCABULARY


def made(case):
    """A case's model and weights."""
    (params, _, _), model = cases.make(case)
    return model, params


def logits(model, params):
    carry = zero_carry(model, IDS.shape[1:], params.V.dtype)
    ids = jnp.asarray(IDS)
    return jax.jit(apply, static_argnums=0)(model, params, HYPER, carry, Batch(ids, ids))[1]


def save(library, path, model, params):
    if library == "torch":
        require("torch")
    getattr(interop, library).save(path, model, params)


# There and back


@pytest.mark.parametrize("library", ["torch", "flax"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_library_computes_our_logits_from_our_file_and_we_from_it(library, case, tmp_path):
    model, params = made(case)
    path, layout = tmp_path / "weights", getattr(interop, library)
    save(library, path, model, params)
    expected = logits(model, params)
    np.testing.assert_allclose(layout.logits(path, model, IDS), expected, rtol=0, atol=1e-13)
    loaded = layout.load(path, model)
    assert jax.tree.map(jnp.shape, loaded) == jax.tree.map(jnp.shape, params)
    np.testing.assert_allclose(logits(model, loaded), expected, rtol=0, atol=1e-13)
    assert [file.name for file in tmp_path.iterdir()] == ["weights"]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_pytorch_s_names_and_shapes_are_ours_and_back_without_a_rounding(case):
    model, params = made(case)
    compare(interop.torch.from_state_dict(model, interop.torch.to_state_dict(model, params)), params, 0)


def test_float32_stays_float32_and_half_precision_is_widened(tmp_path):
    torch = require("torch")
    model, params = made(CASES[1])
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), params)
    interop.torch.save(tmp_path / "a.pt", model, params)
    compare(interop.torch.load(tmp_path / "a.pt", model), params, 0)
    half = {name: leaf.bfloat16() for name, leaf in torch.load(tmp_path / "a.pt").items()}
    torch.save(half, tmp_path / "half.pt")
    loaded = interop.torch.load(str(tmp_path / "half.pt"), model)
    assert {leaf.dtype for leaf in jax.tree.leaves(loaded)} == {jnp.dtype("float32")}
    compare(loaded, params, 1e-2)


def test_weights_of_a_module_with_names_of_its_own_are_read(tmp_path):
    torch = require("torch")
    model, params = made(CASES[1])
    state = interop.torch.to_state_dict(model, params, Names("embed", "encoder.gru", "fc"))
    torch.save({name: torch.from_numpy(np.array(leaf)) for name, leaf in state.items()}, tmp_path / "a.pt")
    assert {name.rpartition(".")[0] for name in state} == {"embed", "encoder.gru", "fc"}
    compare(interop.torch.load(tmp_path / "a.pt", model, Names("embed", "encoder.gru", "fc")), params, 0)
    with pytest.raises(UserError, match=r"a\.pt: embedding\.weight is missing"):
        interop.torch.load(tmp_path / "a.pt", model)


def test_a_linear_unit_is_flax_s_but_not_pytorch_s(tmp_path):
    model, params = made(Case("vanilla", "linear"))
    interop.flax.save(tmp_path / "a", model, params)
    np.testing.assert_allclose(interop.flax.logits(tmp_path / "a", model, IDS), logits(model, params), atol=1e-13)
    with pytest.raises(UserError, match=r"model\.activation linear"):
        interop.torch.to_state_dict(model, params)


def test_flax_s_params_alone_are_read_too(tmp_path):
    model, params = made(CASES[0])
    (tmp_path / "a").write_bytes(serialization.to_bytes(interop.flax.to_params(model, params)))
    compare(interop.flax.load(tmp_path / "a", model), params, 0)


@pytest.mark.parametrize("case", [*CASES, EVERYTHING], ids=str)
def test_safetensors_holds_every_network_bit_for_bit_and_all_it_takes_to_run_it(case, tmp_path):
    model, params = made(case)
    path = tmp_path / "a.safetensors"
    interop.safetensors.save(path, Network(model, params, HYPER, 'añ"\n\ud7ff😀'))
    loaded = interop.safetensors.load(path)
    assert loaded.model == model
    assert loaded.characters == 'añ"\n\ud7ff😀'
    compare(loaded.params, params, 0)
    assert [float(number) for number in loaded.hyper] == [float(number) for number in HYPER]


# What does not fit


@pytest.mark.parametrize("library", ["torch", "flax"])
@pytest.mark.parametrize(
    ("case", "option"),
    [
        (Case("leaky"), "model.cell leaky"),
        (Case("gru", options="n"), "model.layer_norm"),
        (Case("gru", layers=2, options="x"), "model.residual"),
        (Case("lstm", options="s"), "model.learned_state"),
    ],
)
def test_what_a_library_has_not_is_refused_by_the_option_s_name(library, case, option, tmp_path):
    model, params = made(case)
    layout = getattr(interop, library)
    for refused in (
        lambda: layout.save(tmp_path / "a", model, params),
        lambda: layout.load(tmp_path / "a", model),
        lambda: layout.module(model),
    ):
        with pytest.raises(UserError, match=option):
            refused()
    assert not list(tmp_path.iterdir())


def test_weights_that_are_not_the_model_s_are_refused_by_the_leaf_s_name():
    model, params = made(CASES[1])
    state = interop.torch.to_state_dict(model, params)
    torch_leaf, flax_leaf = "rnn.weight_ih_l1", "layer_1.ir.kernel"
    for change, message in (
        ({torch_leaf: state[torch_leaf][:, 1:]}, rf"{torch_leaf} is \[12, 3\], where the model needs \[12, 4\]"),
        ({torch_leaf: None}, rf"{torch_leaf} is \[\], where the model needs"),
        ({"rnn.weight_hr_l0": np.zeros((2, 4))}, r"rnn\.weight_hr_l0 has no place in the model"),
    ):
        with pytest.raises(UserError, match="the state_dict: " + message):
            interop.torch.from_state_dict(model, state | change)
    tree = interop.flax.to_params(model, params)
    tree["layer_1"]["ir"]["kernel"] = tree["layer_1"]["ir"]["kernel"].T[:3]
    with pytest.raises(UserError, match=rf"the params: {flax_leaf} is \[3, 4\], where the model needs \[4, 4\]"):
        interop.flax.from_params(model, tree)


def test_weights_of_another_cell_are_named():
    for given, needed in [("lstm", "gru"), ("gru", "lstm"), ("vanilla", "gru"), ("lstm", "vanilla")]:
        source, params = made(Case(given, layers=2))
        target, _ = made(Case(needed, layers=2))
        message = f"holds the weights of an? {given} cell, but the model's cell is {needed}"
        with pytest.raises(UserError, match=message):
            interop.torch.from_state_dict(target, interop.torch.to_state_dict(source, params))
        with pytest.raises(UserError, match=message):
            interop.flax.from_params(target, interop.flax.to_params(source, params))


def random(size):
    return np.random.default_rng(0).bytes(size)


def as_npz():
    content = io.BytesIO()
    np.savez(content, a=np.zeros(3))
    return content.getvalue()


@pytest.mark.parametrize(
    "content", [None, b"", b"nothing", b"h\x00", random(500), as_npz(), serialization.to_bytes([1, 2])]
)
@pytest.mark.parametrize("library", ["torch", "flax", "safetensors"])
def test_a_file_of_something_else_is_one_line(library, content, tmp_path):
    if library == "torch":
        require("torch")
    path = tmp_path / "a"
    if content is not None:
        path.write_bytes(content)
    layout, model = getattr(interop, library), made(CASES[0])[0]
    with pytest.raises(UserError, match=f"{path}") as caught:
        layout.load(path) if library == "safetensors" else layout.load(path, model)
    assert "\n" not in str(caught.value)


def test_a_file_cut_short_is_one_line(tmp_path):
    model, params = made(CASES[0])
    for library in ("torch", "flax", "safetensors"):
        path = tmp_path / library
        if library == "safetensors":
            interop.safetensors.save(path, Network(model, params, HYPER, "ab"))
        else:
            save(library, path, model, params)
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(UserError, match=f"{path}"):
            interop.safetensors.load(path) if library == "safetensors" else getattr(interop, library).load(path, model)


def test_pytorch_s_other_files_are_one_line_and_run_nothing(tmp_path):
    torch = require("torch")
    model = made(CASES[0])[0]
    for content in ({"epoch": 3, "model": {}}, [torch.zeros(3)], Path("code")):
        torch.save(content, tmp_path / "a.pt")
        with pytest.raises(UserError, match=r"a\.pt is no"):
            interop.torch.load(tmp_path / "a.pt", model)
    for tensor, message in (
        (torch.zeros(3, dtype=torch.int64), "is int64"),
        (torch.zeros(3, dtype=torch.int8), "is int8"),
        (torch.zeros(3, 3).to_sparse(), "is a sparse, quantized or meta tensor"),
        (torch.zeros(3, device="meta"), "is a sparse, quantized or meta tensor"),
        (torch.zeros(3, 0), r"is \[3, 0\], where the model needs"),
    ):
        state = interop.torch.module(model).state_dict() | {"rnn.weight_hh_l0": tensor}
        torch.save(state, tmp_path / "a.pt")
        with pytest.raises(UserError, match=rf"rnn\.weight_hh_l0 {message}"):
            interop.torch.load(tmp_path / "a.pt", model)


def test_weights_of_several_precisions_are_read_in_the_widest(tmp_path):
    torch = require("torch")
    model, params = made(CASES[0])
    interop.torch.save(tmp_path / "a.pt", model, params)
    state = torch.load(tmp_path / "a.pt")
    torch.save(state | {"readout.bias": state["readout.bias"].float()}, tmp_path / "a.pt")
    loaded = interop.torch.load(tmp_path / "a.pt", model)
    assert {leaf.dtype for leaf in jax.tree.leaves(loaded)} == {jnp.dtype("float64")}
    compare(loaded, params, 1e-7)


def test_a_prefix_is_shown():
    model, params = made(CASES[0])
    state = {f"module.{name}": leaf for name, leaf in interop.torch.to_state_dict(model, params).items()}
    with pytest.raises(UserError, match=r"embedding\.weight is missing.*; there is module\.embedding\.weight"):
        interop.torch.from_state_dict(model, state)


@pytest.mark.parametrize(
    "change", [{"format": "other"}, {"model": "{}"}, {"model": "x"}, {"model": "[" * 99999}, {"hyper": "[1]"}]
)
def test_a_safetensors_file_that_is_not_ours_or_damaged_is_one_line(change, tmp_path):
    model, params = made(CASES[0])
    path = tmp_path / "a.safetensors"
    interop.safetensors.save(path, Network(model, params, HYPER, "ab"))
    arrays, about = interop.safetensors.read(path)
    library = weights.library("safetensors", "numpy")
    library.numpy.save_file(arrays, path, metadata=about | change)
    with pytest.raises(UserError, match=f"{path}"):
        interop.safetensors.load(path)
    library.numpy.save_file(arrays | {"layers.0.W": arrays["layers.0.W"][1:]}, path, metadata=about)
    with pytest.raises(UserError, match=r"layers\.0\.W is \[3, 4\], where the model needs \[4, 4\]"):
        interop.safetensors.load(path)


@pytest.mark.parametrize("library", ["torch", "safetensors"])
def test_a_library_that_is_missing_is_one_line_with_the_extra(library, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UserError, match=r"not installed; pip install 'rnnjax\[interop\]'"):
        getattr(interop, library).read(tmp_path / "a")

"""The fused kernels of a layer's loops, against the loop over the cell in float64, which `test_cells.py` holds against
plain NumPy."""

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from platform import machine
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml

from rnnjax import loop
from rnnjax.config import Config, GradientConfig, ModelConfig, RunConfig, TrainingConfig
from rnnjax.errors import UserError
from rnnjax.gradients import fused, make_method
from rnnjax.gradients.method import Window
from rnnjax.model.initializers import init_params
from rnnjax.model.network import Batch, Model
from rnnjax.model.recurrence import of_network

needs_numba = pytest.mark.skipif(not fused.installed(), reason="numba is not installed")

KERNEL = GradientConfig(kernel="numba")


def window(dtype, T=9, B=7, H=128, layers=2, seed=0, cell="lstm", **masks):
    """A network with weights far from their start, and a window of it."""
    model = Model(vocabulary=5, hidden=H, layers=layers, cell=cell)
    params = init_params(jax.random.key(seed), model, "uniform", 1.0, jnp.float64)
    rng = np.random.default_rng(seed)
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf + rng.normal(size=leaf.shape) / H**0.5, dtype), params)
    carry = tuple(jnp.asarray(rng.normal(size=(B, H * len(model.cell.states))), dtype) for _ in range(layers))
    x, y = rng.integers(5, size=(2, T, B))
    return model, Window(params, None, carry, Batch(x, y, **masks))


def computed(method, model, given):
    return jax.jit(lambda given: method.gradient(of_network(model), given))(given)


def errors(found, exact):
    """Root of the mean square error of each array, as a share of its own root mean square."""
    norm = lambda leaf: np.sqrt(np.mean(np.square(leaf)))
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(exact), strict=True)
    return np.array([norm(np.asarray(a, np.float64) - b) / norm(b) for a, b in pairs])


@needs_numba
@pytest.mark.parametrize("cell", ["lstm", "vanilla"])
@pytest.mark.parametrize(
    "shape", [{}, {"T": 1, "B": 1, "H": 64}, {"T": 40, "B": 13, "H": 192, "layers": 1}, {"H": 100}], ids=str
)
def test_kernel_rounds_no_more_than_the_loop(shape, cell):
    shape = shape | {"cell": cell}
    exact = computed(make_method(GradientConfig()), *window("float64", **shape))
    by_kernel, by_loop = (
        errors(computed(make_method(config), *window("float32", **shape)), exact)
        for config in (KERNEL, GradientConfig())
    )
    assert by_kernel.max() < 2e-6
    assert (by_kernel < 1.5 * by_loop + 1e-7).all(), (by_kernel, by_loop)


@needs_numba
@pytest.mark.parametrize("threads", ["1", "2", "5", ""])
def test_kernel_is_the_same_to_the_bit_on_any_number_of_threads(threads, monkeypatch):
    model, given = window("float32", B=25)
    one = computed(make_method(KERNEL), model, given)
    monkeypatch.setenv("PJRT_NPROC", threads)
    for _ in range(3):
        jax.tree.map(np.testing.assert_array_equal, computed(make_method(KERNEL), model, given), one)


@needs_numba
def test_kernels_that_run_at_the_same_time_keep_apart():
    model, given = window("float32", B=25)
    run = jax.jit(lambda given: make_method(KERNEL).gradient(of_network(model), given))
    times = lambda scale: given._replace(params=jax.tree.map(lambda leaf: leaf * scale, given.params))
    several = [times(scale) for scale in (0.5, 1, 2, 3)]
    alone = [jax.block_until_ready(run(window)) for window in several]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            jax.tree.map(np.testing.assert_array_equal, list(pool.map(run, several)), alone)


@needs_numba
def test_vmap_has_one_kernel_after_the_other():
    model, given = window("float32", layers=1)
    several = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf * 2 if leaf.dtype == jnp.float32 else leaf]), given)
    of = lambda given: make_method(KERNEL).gradient(of_network(model), given)
    both = jax.jit(jax.vmap(of))(several)
    for n in range(2):
        alone = jax.jit(of)(jax.tree.map(lambda leaf: leaf[n], several))  # noqa: B023
        np.testing.assert_allclose(both.params.layers[0].W[n], alone.params.layers[0].W, rtol=1e-5, atol=1e-8)


@needs_numba
@pytest.mark.parametrize("cell", ["lstm", "vanilla"])
def test_a_number_that_is_not_finite_stays_so(cell):
    model, given = window("float32", cell=cell, layers=1)
    W = given.params.layers[0].W
    for value, everywhere in ((np.nan, True), (1e30, False)):
        layer = given.params.layers[0]._replace(W=W.at[3, 5].set(value))
        found = computed(make_method(KERNEL), model, given._replace(params=given.params._replace(layers=(layer,))))
        assert np.isnan(found.loss) == everywhere
        assert np.isnan(found.new_carry[0]).any() == everywhere
        assert np.isfinite(found.params.V).all() != everywhere


@needs_numba
def test_windows_with_masks_and_other_layers_take_the_loop():

    valid = np.random.default_rng(1).random((9, 7)) < 0.8
    for dtype, masks in (("float32", {"valid": jnp.asarray(valid)}), ("float64", {})):
        model, given = window(dtype, **masks)
        one, other = (computed(make_method(config), model, given) for config in (KERNEL, GradientConfig()))
        jax.tree.map(np.testing.assert_array_equal, one, other)


def settled(tmp_path, kernel="auto", **changes):
    config = Config(
        model=ModelConfig(**{"cell": "lstm", "hidden_size": 128} | changes),
        gradient=GradientConfig(kernel=kernel),
        training=TrainingConfig(batch_size=8),
        run=RunConfig(root=str(tmp_path), name="r"),
    )
    return loop.settled(config, tmp_path / "r").gradient.kernel


def test_a_run_takes_the_kernel_where_it_is_there_and_keeps_what_it_began_with(tmp_path, monkeypatch):
    monkeypatch.setattr(fused, "installed", lambda: True)
    here = "numba" if jax.default_backend() == "cpu" and (sys.platform, machine()) == fused.TRIED else "none"
    assert settled(tmp_path) == here
    assert settled(tmp_path, kernel="none") == "none"
    assert settled(tmp_path, cell="vanilla", hidden_size=256) == here
    assert settled(tmp_path, hidden_size=100) == here
    others = (
        {"cell": "gru"},
        {"cell": "vanilla"},
        {"cell": "vanilla", "activation": "relu", "hidden_size": 256},
        {"hidden_size": 2048},
        {"layer_norm": True},
        {"unroll": "deer"},
    )
    assert {settled(tmp_path, **other) for other in others} == {"none"}
    (tmp_path / "r").mkdir()
    for said, kept in (({"kernel": "none"}, "none"), ({"kernel": "numba"}, "numba"), ({}, "none")):
        (tmp_path / "r" / "config.yaml").write_text(yaml.safe_dump({"gradient": {"method": "manual", **said}}))
        assert settled(tmp_path) == kept
    monkeypatch.setattr(fused, "installed", lambda: False)
    assert settled(tmp_path / "new") == "none"
    for ask in (lambda: settled(tmp_path / "new", kernel="numba"), lambda: make_method(KERNEL)):
        with pytest.raises(UserError, match=r"gradient.kernel numba: .*pip install 'rnnjax\[kernels\]'"):
            ask()


def test_a_numba_that_cannot_be_imported_is_none(tmp_path, monkeypatch):
    (tmp_path / "numba.py").write_text("raise ImportError('Numba needs NumPy 2.2 or less')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "numba", raising=False)
    assert settled(tmp_path) == "none"
    with pytest.raises(UserError, match="cannot be imported: pip install"):
        settled(tmp_path, kernel="numba")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cell": "gru"}, "for the cells lstm and vanilla with tanh, not gru"),
        ({"layer_norm": True}, "it has no layer norm"),
    ],
)
def test_a_kernel_that_there_is_not_is_refused(changes, reason, tmp_path, monkeypatch):
    monkeypatch.setattr(fused, "installed", lambda: True)
    with pytest.raises(UserError, match=reason):
        settled(tmp_path, kernel="numba", **changes)
    autodiff = Config(gradient=GradientConfig("autodiff", kernel="numba"))
    with pytest.raises(UserError, match=r"it is for gradient\.method manual, not autodiff"):
        loop.settled(autodiff, tmp_path / "r")
    assert (
        loop.settled(replace(autodiff, gradient=GradientConfig("autodiff")), tmp_path / "r").gradient.kernel == "none"
    )


@needs_numba
@pytest.mark.parametrize("name", ["d_a", "d_h0", "d_c0"])
def test_a_wrong_kernel_is_seen(name, monkeypatch):
    from rnnjax.gradients.fused import layer

    def wrong(cell, name_of, *shapes, **aliases):
        run = true(cell, name_of, *shapes, **aliases)
        changed = lambda *given: tuple(part * (1.001 if n == place else 1) for n, part in enumerate(run(*given)))
        return changed if name_of == "backward" else run

    place, true = ["d_a", "d_h0", "d_c0"].index(name), layer.kernel
    exact = computed(make_method(GradientConfig()), *window("float64"))
    monkeypatch.setattr(layer, "kernel", wrong)
    assert errors(computed(make_method(KERNEL), *window("float32")), exact).max() > 1e-4


@needs_numba
def test_a_kernel_does_without_its_cache(monkeypatch):
    from rnnjax.gradients.fused import custom_call

    def compiled(version, cache):
        if cache:
            raise OSError("No space left on device")
        return 1, 2

    found = {}
    monkeypatch.setitem(custom_call.KERNELS, "vanilla", SimpleNamespace(compiled=compiled))
    monkeypatch.setattr(custom_call, "register", found.__setitem__)
    custom_call.ready.__wrapped__("vanilla")
    assert found == {"rnnjax_vanilla_forward": 1, "rnnjax_vanilla_backward": 2}

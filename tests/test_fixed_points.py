"""Fixed points against cases whose points, eigenvalues and speeds are known in closed form."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnjax
from rnnjax.errors import UserError

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def test_three_independent_units_have_the_27_points_of_a_cube():
    def step(w, state, x):
        state = jnp.tanh(w * state + x)
        return state, state

    found = rnnjax.fixed_points(step, 2.0, jnp.zeros(3), RNG.uniform(-1, 1, (600, 3)))
    root = 0.9575040240772687  # s = tanh(2 s)
    assert np.bincount(found.unstable).tolist() == [8, 12, 6, 1]  # corners, edges, faces, centre
    np.testing.assert_allclose(np.sort(np.abs(found.states), axis=1)[:8], np.full((8, 3), root), rtol=1e-10)
    np.testing.assert_allclose(found.states[-1], 0, atol=1e-10)
    np.testing.assert_allclose(np.abs(found.eigenvalues[0]), 2 * (1 - root**2), rtol=1e-8)
    np.testing.assert_allclose(found.eigenvalues[-1], 2, rtol=1e-10)
    assert found.found.sum() == 600


def test_a_spiral_of_two_leaves_has_the_eigenvalues_of_its_matrix():
    angle, size = 0.3, 1.1
    A = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def step(params, state, x):
        a, b = params @ jnp.array([state["a"], state["b"]]) + x
        return {"a": a, "b": b}, None

    x = np.array([1.0, -2.0])
    found = rnnjax.fixed_points(step, A, x, {"a": RNG.normal(size=5), "b": RNG.normal(size=5)})
    expected = np.linalg.solve(np.eye(2) - A, x)
    np.testing.assert_allclose([found.states["a"], found.states["b"]], expected[:, None], rtol=1e-10)
    np.testing.assert_allclose(found.eigenvalues[0].real, size * np.cos(angle))
    np.testing.assert_allclose(np.sort(found.eigenvalues[0].imag), [-size * np.sin(angle), size * np.sin(angle)])
    assert (found.unstable.tolist(), found.found.tolist()) == ([2], [5])


def test_a_slow_point_is_found_where_there_is_no_fixed_one():
    def step(params, state, x):
        return state + params + state**2, None  # a ghost of two points that have met: speed at least params, at 0

    starts = RNG.uniform(-0.5, 0.5, 20)
    assert len(rnnjax.fixed_points(step, 1e-3, None, starts).speeds) == 0
    found = rnnjax.fixed_points(step, 1e-3, None, starts, slowest=2e-3)
    np.testing.assert_allclose(found.states, [0], atol=1e-4)
    np.testing.assert_allclose(found.speeds, [1e-3], rtol=1e-6)


def test_starts_that_are_no_states_side_by_side_are_refused():
    step = lambda params, state, x: (state, None)
    with pytest.raises(UserError, match="side by side"):
        rnnjax.fixed_points(step, None, None, 0.5)
    with pytest.raises(UserError, match="starts are int64"):
        rnnjax.fixed_points(step, None, None, jnp.arange(3))


def test_the_door_finds_the_one_stable_point_of_a_small_fresh_network(tmp_path, capsys):
    from rnnjax.fixed_points.__main__ import main

    out = tmp_path / "points"
    fields = ["--data.path", "songs.csv", "--model.hidden_size", "6", "--run.platform", "cpu", "--out", str(out)]
    text = "".join(f"artist {i},song {i},link,la la li {i} lo\n" for i in range(40))
    (tmp_path / "songs.csv").write_text("artist,song,link,text\n" + text)
    fields[1] = str(tmp_path / "songs.csv")
    assert main([*fields, "--starts", "5", "--steps", "50", "--letter", "l"]) == 0
    found = json.loads((out / "fixed_points.json").read_text())
    assert (found["unstable"], found["found"], len(found["states"][0])) == ([0], [5], 6)
    assert (out / "fixed_points.png").stat().st_size > 1000
    assert "stable" in capsys.readouterr().out
    with pytest.raises(UserError, match="--letter is '#'"):
        main([*fields, "--letter", "#"])

import ast
from pathlib import Path

import cases
import jax
import numpy as np
import oracle
import oracle_cells
import pytest
from cases import Case


def test_it_imports_numpy_alone():
    for module in [oracle, oracle_cells]:
        tree = ast.parse(Path(module.__file__).read_text())
        modules = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                modules.add(node.module)
            elif isinstance(node, ast.Name):
                assert node.id not in ("__import__", "exec", "eval")
        assert modules == {"numpy"}


def entries(params, carry):
    """Every array of a network, each with its name."""
    for index, layer in enumerate(params["layers"]):
        yield from ((f"{name} of layer {index}", array) for name, array in layer.items())
    yield from (("V", params["V"]), ("by", params["by"]))
    yield from ((f"carry of layer {index}", h) for index, h in enumerate(carry))


@pytest.mark.parametrize(
    "case",
    [
        Case(T=3, batch=(), seed=1),
        Case(layers=2, masks="wvr", T=3, batch=(2,), seed=2),
        Case(activation="relu", layers=2, masks="wr", T=3, batch=(2,), seed=1),
        Case(activation="linear", masks="wv", batch=(2,), seed=4),
    ],
    ids=str,
)
def test_its_gradient_matches_its_own_central_differences(case):
    arrays, _ = cases.make(case)
    params, carry, batch = cases.to_oracle(*jax.tree.map(np.array, arrays))  # copies, to be moved
    result = oracle.run(params, carry, batch, case.activation, with_gradient=True)
    assert case.activation != "relu" or result["kink_distance"] > 1e-3
    pairs = zip(entries(params, carry), entries(result["params"], result["carry"]), strict=True)
    epsilon = 1e-5
    for (name, array), (_, gradient) in pairs:
        numeric = np.zeros(array.shape)
        for index in np.ndindex(array.shape):
            here = array[index]
            losses = []
            for array[index] in (here + epsilon, here - epsilon):
                losses.append(oracle.run(params, carry, batch, case.activation, with_gradient=False)["loss"])
            array[index] = here
            numeric[index] = (losses[0] - losses[1]) / (2 * epsilon)
        assert np.abs(numeric - gradient).max() <= 1e-6 * np.abs(gradient).max(), name


def test_held_states_stay_and_reset_states_start_from_zero():
    arrays, _ = cases.make(Case(layers=2, masks="vr", T=3, batch=(2,)))
    params, carry, batch = cases.to_oracle(*arrays)
    nothing, everything = np.zeros((3, 2), bool), np.ones((3, 2), bool)
    held = oracle.run(params, carry, batch | {"valid": nothing, "reset": nothing}, "tanh", False)["new_carry"]
    zeroed = oracle.run(params, carry, batch | {"valid": nothing, "reset": everything}, "tanh", False)["new_carry"]
    for h, h0, h_zero in zip(held, carry, zeroed, strict=True):
        np.testing.assert_array_equal(h, h0)
        np.testing.assert_array_equal(h_zero, 0)

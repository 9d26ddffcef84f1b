import ast
import copy
from pathlib import Path

import agreement
import numpy as np
import oracle
import oracle_cells
import pytest


@pytest.mark.parametrize("module", [oracle, oracle_cells], ids=lambda module: module.__name__)
def test_it_imports_numpy_alone(module):
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
        agreement.Case(3, (), 1, "tanh", "", seed=1),
        agreement.Case(3, (2,), 2, "tanh", "wvr", seed=2),
        agreement.Case(3, (2,), 2, "relu", "wr", seed=1),
        agreement.Case(4, (2,), 1, "linear", "wv", seed=4),
    ],
    ids=str,
)
def test_its_gradient_matches_its_own_central_differences(case):
    arrays, _model = agreement.make(case)
    params, carry, batch = copy.deepcopy(agreement.to_oracle(*arrays))
    params = {
        "layers": [{name: array.copy() for name, array in layer.items()} for layer in params["layers"]],
        "V": params["V"].copy(),
        "by": params["by"].copy(),
    }
    carry = [h.copy() for h in carry]
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
    arrays, _ = agreement.make(agreement.Case(3, (2,), 2, masks="vr"))
    params, carry, batch = agreement.to_oracle(*arrays)
    nothing, everything = np.zeros((3, 2), bool), np.ones((3, 2), bool)
    held = oracle.run(params, carry, batch | {"valid": nothing, "reset": nothing}, "tanh", False)["new_carry"]
    zeroed = oracle.run(params, carry, batch | {"valid": nothing, "reset": everything}, "tanh", False)["new_carry"]
    for h, h0, h_zero in zip(held, carry, zeroed, strict=True):
        np.testing.assert_array_equal(h, h0)
        np.testing.assert_array_equal(h_zero, 0)

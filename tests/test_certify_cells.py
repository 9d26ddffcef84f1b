"""The adjoints of cells, and networks of cells, in the certificate: right ones pass, and a slip is named."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
from test_certify import real

import rnnjax
from rnnjax.certificate import adjoints
from rnnjax.model.cells import CELLS, find, with_adjoint


def test_every_built_in_cell_has_the_adjoint_of_its_equations():
    for cell in CELLS.values():
        assert all(check.verdict == "PASS" for check in adjoints.of_cell(cell)), cell


def spoiled(name, change):
    """A built-in cell whose adjoint is changed."""
    right = with_adjoint(find(name))
    adjoint = lambda hyper, local, d: change(*right.adjoint(hyper, local, d))
    return dataclasses.replace(right, name=f"wrong {name}", adjoint=adjoint)


CELL_SLIPS = {
    "a sign in a": ("gru", lambda a, z, s: (-a, z, s)),
    "z by a millionth": ("gru", lambda a, z, s: (a, z * (1 + 1e-6), s)),
    "c is left out": ("lstm", lambda a, z, s: (a, z, (s[0], 0 * s[1]))),
    "h hands nothing back": ("leaky", lambda a, z, s: (a, z, (0 * s[0],))),
    "a peephole is missing": ("lstm_peephole", lambda a, z, s, *own: (a, z, s, *own[:-1], 0 * own[-1])),
    "two gates are exchanged": ("lstm", lambda a, z, s: (jnp.roll(a, 3, axis=-1), jnp.roll(z, 3, axis=-1), s)),
}


def test_an_error_in_the_adjoint_of_a_cell_is_told():
    for slip, (name, change) in CELL_SLIPS.items():
        (check,) = adjoints.of_cell(spoiled(name, change))
        assert check.verdict == "FAIL", slip
        assert "is handed back" in check.claim, slip


@pytest.mark.slow
def test_the_step_of_a_network_has_the_methods_of_a_network():
    net = rnnjax.network("leaky", hidden=3, outputs=2, inputs=2, leak=0.4)
    params = net.init(jax.random.key(0))
    data = params, net.state(params, 2), real(8, 2, 2), real(8, 2, 2)
    report = rnnjax.certify(net.step, "squared_error", *data, "snap,rflo,kf_rtrl", reduce="sum", snap_steps=1)
    assert report.passed, report.text()
    assert {row.verdict for row in report.found.rows} == {"PASS"}


def test_a_cell_is_certified_with_a_network_of_it():
    report = rnnjax.certify(spoiled(*CELL_SLIPS["a sign in a"]), methods="manual")
    assert report.failed == ["manual", "adjoint"]

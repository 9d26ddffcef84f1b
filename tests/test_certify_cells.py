"""The adjoints of cells, and networks of cells, in the certificate: right ones pass, and a slip is named."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
from test_certify import real

import rnnjax
from rnnjax.certificate import adjoints
from rnnjax.model.cells import CELLS, Hyper, find, with_adjoint
from rnnjax.model.rnn import join, split


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


H = adjoints.UNITS


def gate(k):
    """The columns of a gate."""
    return slice(k * H, (k + 1) * H)


def adjoint(unit, change):
    """A built-in cell with a mutant of its adjoint: change(true, hyper, local, d_state) gives (d_a, d_z, d_state), a
    state's parts side by side."""
    cell = find(unit)

    def true(hyper, local, d_state):
        d_a, d_z, d_prev = cell.adjoint(hyper, local, split(d_state, cell))
        return d_a, d_z, join(d_prev)

    def mutant(hyper, local, d_state):
        d_a, d_z, d_prev = change(true, hyper, local, join(d_state))
        return d_a, d_z, split(d_prev, cell)

    return dataclasses.replace(cell, name=f"wrong {unit}", adjoint=mutant)


def derivatives(unit, change):
    """A built-in cell with a mutant of its derivatives: change(true, hyper, saved)."""
    true = find(unit).derivatives
    return dataclasses.replace(find(unit), name=f"wrong {unit}", derivatives=lambda *args: change(true, *args))


def found(unit, change):
    """A mutant of what an adjoint finds: change(d_a, d_z, d_state)."""
    return adjoint(unit, lambda true, *args: change(*true(*args)))


def kept(unit, change):
    """A mutant of what a cell keeps for its derivatives: change(*saved)."""
    return derivatives(unit, lambda true, hyper, saved: true(hyper, change(*saved)))


def without(unit, k):
    """A mutant that loses the gradient of a gate."""
    return found(unit, lambda d_a, d_z, d_state: (d_a.at[..., gate(k)].set(0), d_z.at[..., gate(k)].set(0), d_state))


CELL_MUTANTS = {
    "leaky": {
        "no leak in the gate": derivatives("leaky", lambda true, _, saved: true(Hyper(leak=1.0), saved)),
        "leak twice": found("leaky", lambda d_a, d_z, d_state: (0.6 * d_a, 0.6 * d_z, d_state)),
        "what is kept, forgotten": found("leaky", lambda d_a, d_z, d_state: (d_a, d_z, 0 * d_state)),
        "what is kept, kept whole": found("leaky", lambda d_a, d_z, d_state: (d_a, d_z, d_state / 0.4)),
        "what is kept, by leak": found("leaky", lambda d_a, d_z, d_state: (d_a, d_z, d_state * 0.6 / 0.4)),
    },
    "gru": {
        "reset gate lost": without("gru", 0),
        "update gate lost": without("gru", 1),
        "candidate lost": without("gru", 2),
        "reset not in the way back": found("gru", lambda d_a, d_z, d_state: (d_a, d_a, d_state)),
        "reset in the way down": found("gru", lambda d_a, d_z, d_state: (d_z, d_z, d_state)),
        "what is kept, forgotten": found("gru", lambda d_a, d_z, d_state: (d_a, d_z, 0 * d_state)),
        "gates exchanged": kept("gru", lambda g, n, z_n, h: (jnp.roll(g, H, -1), n, z_n, h)),
        "u for 1 - u": kept("gru", lambda g, n, z_n, h: (g.at[..., gate(1)].set(1 - g[..., gate(1)]), n, z_n, h)),
        "candidate for its product": kept("gru", lambda g, n, z_n, h: (g, n, n, h)),
        "state before left out": kept("gru", lambda g, n, z_n, h: (g, n, z_n, 0 * h)),
        "candidate's sign": kept("gru", lambda g, n, z_n, h: (g, -n, z_n, h)),
    },
    "lstm": {
        "input gate lost": without("lstm", 0),
        "forget gate lost": without("lstm", 1),
        "candidate lost": without("lstm", 2),
        "output gate lost": without("lstm", 3),
        "memory's own way lost": found("lstm", lambda d_a, d_z, d_state: (d_a, d_z, 0 * d_state)),
        "memory's adjoint ignored": adjoint(
            "lstm", lambda true, hyper, saved, d_state: true(hyper, saved, d_state.at[..., H:].set(0))
        ),
        "output's adjoint ignored": adjoint(
            "lstm", lambda true, hyper, saved, d_state: true(hyper, saved, d_state.at[..., :H].set(0))
        ),
        "gates exchanged": kept("lstm", lambda g, c, t: (jnp.roll(g, H, -1), c, t)),
        "memory before left out": kept("lstm", lambda g, c, t: (g, 0 * c, t)),
        "tanh of the memory's sign": kept("lstm", lambda g, c, t: (g, c, -t)),
        "adjoint leaks into h": found("lstm", lambda d_a, d_z, d_state: (d_a, d_z, jnp.roll(d_state, H, -1))),
    },
}


@pytest.mark.slow
def test_a_mutant_of_a_cell_is_told():
    for unit, mutants in CELL_MUTANTS.items():
        assert all(check.verdict == "PASS" for check in adjoints.of_cell(find(unit)))
        for name, cell in mutants.items():
            (check,) = adjoints.of_cell(cell)
            assert check.verdict == "FAIL", (unit, name)
            assert not check.reason, (unit, name)

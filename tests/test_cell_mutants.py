"""Mistakes made on purpose in the adjoint of every cell and option: the comparison with autodiff must see each one."""

from dataclasses import replace

import cases
import jax.numpy as jnp
import pytest
from agreement import compare
from cases import HIDDEN, Case

from rnnjax.gradients import manual
from rnnjax.model.cells import CELLS, Hyper
from rnnjax.model.rnn import join, split

pytestmark = pytest.mark.slow

H = HIDDEN


def gate(k):
    """The columns of a gate."""
    return slice(k * H, (k + 1) * H)


def adjoint(unit, change):
    """A mutant of a cell's adjoint: change(true, hyper, local, d_state) gives (d_a, d_z, d_state), a state's parts side
    by side."""
    kind = (unit, "tanh")

    def mutate(patch):
        cell = CELLS[kind]

        def true(hyper, local, d_state):
            d_a, d_z, d_prev = cell.adjoint(hyper, local, split(d_state, cell))
            return d_a, d_z, join(d_prev)

        def mutant(hyper, local, d_state):
            d_a, d_z, d_prev = change(true, hyper, local, join(d_state))
            return d_a, d_z, split(d_prev, cell)

        patch.setitem(CELLS, kind, replace(cell, adjoint=mutant))

    return mutate


def derivatives(unit, change):
    """A mutant of a cell's derivatives: change(true, hyper, saved)."""
    kind = (unit, "tanh")

    def mutate(patch):
        true = CELLS[kind].derivatives
        patch.setitem(CELLS, kind, replace(CELLS[kind], derivatives=lambda *args: change(true, *args)))

    return mutate


def found(unit, change):
    """A mutant of what an adjoint finds: change(d_a, d_z, d_state)."""
    return adjoint(unit, lambda true, *args: change(*true(*args)))


def kept(unit, change):
    """A mutant of what a cell keeps for its derivatives: change(*saved)."""
    return derivatives(unit, lambda true, hyper, saved: true(hyper, change(*saved)))


def without(unit, k):
    """A mutant that loses the gradient of a gate."""
    return found(unit, lambda d_a, d_z, d_state: (d_a.at[..., gate(k)].set(0), d_z.at[..., gate(k)].set(0), d_state))


def patched(name, wrap):
    """A mutant of one name in the module: wrap gets the true one."""
    return lambda patch: patch.setattr(manual, name, wrap(getattr(manual, name)))


CELL_MUTANTS = {
    "leaky": {
        "no leak in the gate": derivatives("leaky", lambda true, _, saved: true(Hyper(leak=1.0), saved)),
        "leak twice": found("leaky", lambda d_a, d_z, d_state: (0.3 * d_a, 0.3 * d_z, d_state)),
        "what is kept, forgotten": found("leaky", lambda d_a, d_z, d_state: (d_a, d_z, 0 * d_state)),
        "what is kept, kept whole": found("leaky", lambda d_a, d_z, d_state: (d_a, d_z, d_state / 0.7)),
        "what is kept, by leak": found("leaky", lambda d_a, d_z, d_state: (d_a, d_z, d_state * 0.3 / 0.7)),
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

OPTION_MUTANTS = {
    "normalisation: mean of the error kept": patched(
        "normalize_adjoint", lambda true: lambda normalized, d: true(normalized, d) + 0.01
    ),
    "normalisation: over the deviation only": patched(
        "normalize_adjoint",
        lambda _: (
            lambda normalized, d: (
                d.reshape(*normalized.inverse_deviation.shape[:-1], -1) * normalized.inverse_deviation
            ).reshape(d.shape)
        ),
    ),
    "normalisation: left out": patched("normalize_adjoint", lambda _: lambda normalized, d: d),
    "normalisation: over all gates": patched(
        "normalize_adjoint",
        lambda true: (
            lambda normalized, d: true(
                normalized._replace(inverse_deviation=normalized.inverse_deviation.mean(-2, keepdims=True)), d
            )
        ),
    ),
    "gain forgotten on the way back": patched(
        "product_adjoint", lambda true: lambda layer, *args: true(layer._replace(gain_z=layer.gain_z * 0 + 1), *args)
    ),
    "dropout forgotten on the way back": lambda patch: patch.setattr(
        manual, "dropout", type("NoDropout", (), {"mask": staticmethod(lambda noise, rate: jnp.ones_like(noise))})
    ),
    "embedding: a repeated id counts once": patched(
        "rows", lambda _: lambda table, ids, d: jnp.zeros_like(table).at[ids].set(d)
    ),
    "learned state: a tenth too much": patched(
        "backward",
        lambda true: lambda *args: (lambda result: result._replace(s0=1.1 * result.s0))(true(*args)),
    ),
    "learned state: not through W": patched(
        "split", lambda true: lambda state, cell: true(state * (1.0 if state.ndim > 1 else 0.0), cell)
    ),
    "biases of z left out": patched(
        "recurrent_weights",
        lambda true: lambda *args: (lambda layer: layer._replace(bz=0 * layer.bz))(true(*args)),
    ),
}


def case_of(unit):
    """The smallest case in which every factor of a cell's adjoint has a part."""
    return Case(unit, masks="r", T=3, batch=(2,))


OPTIONS = Case("gru", layers=2, masks="r", options="enxsd", T=3, batch=(2,))


@pytest.fixture(scope="module")
def truth():
    """The gradient of each case by autodiff, which shares no code with the adjoints; computed once."""
    known = {}

    def of(case):
        if case not in known:
            arrays, model = cases.make(case)
            known[case] = cases.compute_one("autodiff", model, *arrays)
        return known[case]

    return of


def check(case, truth):
    arrays, model = cases.make(case)
    compare(cases.compute_one("manual", model, *arrays), truth)


@pytest.fixture
def fresh():
    """Compiles anew, before for the mutant and afterwards without it."""
    cases.compute.clear_cache()
    yield
    cases.compute.clear_cache()


@pytest.mark.parametrize("case", [*map(case_of, CELL_MUTANTS), OPTIONS], ids=lambda case: case.cell + case.options)
def test_without_a_mutation_the_case_passes(case, truth):
    check(case, truth(case))


@pytest.mark.parametrize(("unit", "name"), [(unit, name) for unit, mutants in CELL_MUTANTS.items() for name in mutants])
def test_a_mutant_of_a_cell_is_caught(unit, name, truth, fresh, monkeypatch):
    expected = truth(case_of(unit))
    CELL_MUTANTS[unit][name](monkeypatch)
    with pytest.raises(AssertionError, match=r"off by|exact zero"):
        check(case_of(unit), expected)


@pytest.mark.parametrize("name", OPTION_MUTANTS)
def test_a_mutant_of_an_option_is_caught(name, truth, fresh, monkeypatch):
    expected = truth(OPTIONS)
    OPTION_MUTANTS[name](monkeypatch)
    with pytest.raises(AssertionError, match=r"off by|exact zero"):
        check(OPTIONS, expected)


def test_a_backward_layer_that_forgets_to_turn_around_is_caught(truth, fresh, monkeypatch):
    case = Case("vanilla", masks="v", options="b", T=3, batch=(2,))
    expected = truth(case)
    monkeypatch.setattr(manual, "backward_in_time", manual.unchanged)
    with pytest.raises(AssertionError, match="off by"):
        check(case, expected)

"""Wrong arguments are told where they are given, in one line: the argument, its value, what is allowed."""

import dataclasses
import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from command import complaint

from rnnjax.config import Config, ModelConfig, OptimizerConfig
from rnnjax.errors import UserError
from rnnjax.gradients import autodiff, manual
from rnnjax.gradients.method import Window
from rnnjax.model.cells import CELLS, Cell, Hyper, find
from rnnjax.model.initializers import init_params
from rnnjax.model.network import Batch, Model, zero_carry
from rnnjax.model.recurrence import of_network
from rnnjax.model.rnn import apply, step


def fields():
    """Every field of every section of a config, with its type."""
    for section in dataclasses.fields(Config):
        kind = type(getattr(Config(), section.name))
        for name, hint in typing.get_type_hints(kind).items():
            yield section.name, kind, name, hint


def test_every_field_of_a_config_refuses_what_is_not_of_its_type():
    for section, kind, name, hint in fields():
        for wrong in ("grru", 1.5, True, None, [1]):
            options = typing.get_args(hint) or (hint,)
            fits = type(wrong) in options or wrong in options or (wrong is None and type(None) in options)
            if fits and not isinstance(wrong, list):
                continue
            assert complaint(kind, **{name: wrong}).startswith(f"{section}.{name} is {wrong!r}")
    assert OptimizerConfig(learning_rate=1).learning_rate == 1  # an integer is a number


def test_a_wrong_literal_is_told_with_what_is_allowed():
    told = complaint(OptimizerConfig, clip="norm")
    assert told == "optimizer.clip is 'norm', but must be one of value, global_norm, per_leaf_norm, none"


def test_a_model_is_checked_where_it_is_made():
    for options, message in [
        ({"hidden": -8}, "hidden is -8, but must be at least 1"),
        ({"hidden": 2.0}, "hidden is 2.0, but must be an integer"),
        ({"vocabulary": 0}, "vocabulary is 0, but must be at least 1"),
        ({"sparsity": 1.0}, "sparsity is 1.0, but must be in [0, 1)"),
        ({"residual": 1}, "residual is 1, but must be true or false"),
        ({"cell": "grru"}, "cell is 'grru', but must be one of vanilla, leaky, gru, lstm"),
        ({"cell": "gru", "activation": "relu"}, "activation is 'relu', but must be tanh in the cell gru"),
        ({"activation": "selu"}, "activation is 'selu', but must be tanh or relu or linear in the cell vanilla"),
    ]:
        assert complaint(Model, **{"vocabulary": 5, "hidden": 3} | options).startswith(message)


def test_a_cell_is_checked_where_it_is_made():
    right = {"name": "mine", "gates": ("a",), "forward": lambda hyper, a, z, state: ((a + z,), {})}
    for options, message in [
        ({"gates": ()}, "cell mine: gates is (), but must be at least one name"),
        ({"gates": "ab"}, "cell mine: gates is 'ab', but must be a tuple of different names"),
        ({"states": ("c", "h")}, "cell mine: states is ('c', 'h'), but must be names of which the first is \"h\""),
        ({"forward": None}, "cell mine: forward is None, but must be a function"),
        ({"recurrence": "full"}, "cell mine: recurrence is 'full', but must be one of dense, diagonal, none"),
        ({"forget": "f"}, "cell mine: forget is 'f', but must be empty, or one of its gates a"),
        ({"adjoint": lambda *args: args}, "cell mine: adjoint is <function"),
        ({"recurrence": "none", "recurrent_bias": True}, "cell mine: recurrent_bias is True, but must be False"),
    ]:
        assert complaint(Cell, **right | options).startswith(message)


def test_a_cell_is_found_by_name_and_a_network_keeps_its_activation():
    relu = CELLS["vanilla", "relu"]
    assert Model(5, 3, cell=relu) == Model(5, 3, activation="relu") == Model(5, 3, cell="vanilla", activation="relu")
    assert Model(5, 3, cell=relu).activation == "relu"
    assert dataclasses.replace(Model(5, 3), activation="relu").cell is relu
    assert find("leaky").activation == "tanh"


def test_the_leak_has_one_default():
    assert Hyper().leak == ModelConfig().leak == ModelConfig.leak


@pytest.fixture(scope="module")
def window():
    """A model, its parameters, a state of two streams and a window of three steps."""
    model = Model(vocabulary=5, hidden=3)
    params = init_params(jax.random.key(0), model, "uniform", 1.0)
    ids = jnp.zeros((3, 2), jnp.int32)
    return model, params, zero_carry(model, (2,), jnp.float32), Batch(ids, ids)


def test_ids_out_of_range_are_told_outside_jit(window):
    for gradient in [autodiff.gradient, manual.gradient]:
        model, params, carry, batch = window
        for wrong in (5, -1):
            bad = Window(params, Hyper(), carry, batch._replace(x=batch.x.at[1, 0].set(wrong)))
            told = complaint(gradient, of_network(model), bad)
            assert told == f"x has the id {wrong}, but must have ids from 0 to 4"
        with pytest.raises(UserError, match="x has the id 9"):
            step(model, params, Hyper(), carry, Batch(jnp.array([0, 9]), None))


def test_shapes_are_told_inside_jit_too(window):
    for change, message in [
        (lambda carry, batch: (carry[:0], batch), "the state has 0 parts, but must have 1, one for each layer"),
        (
            lambda carry, batch: ((carry[0][:, :2],), batch),
            "the state of layer 0 has the shape [2, 2], but must have [2, 3]",
        ),
        (
            lambda carry, batch: (carry, batch._replace(x=jnp.zeros((3, 2, 4)))),
            "x has the shape [3, 2, 4], but must have 5 numbers in the last axis, the inputs of the network",
        ),
        (
            lambda carry, batch: (carry, batch._replace(valid=np.ones((2, 2), bool))),
            "valid has the shape [2, 2], but must have [3, 2], as x has",
        ),
        (
            lambda carry, batch: (carry, batch._replace(reset=np.ones((3, 1), bool))),
            "reset has the shape [3, 1], but must have [3, 2], as x has",
        ),
    ]:
        model, params, *given = window
        carry, batch = change(*given)
        by_hand = lambda model, *window: manual.gradient(of_network(model), Window(*window))
        for run in (apply, by_hand):
            assert complaint(jax.jit(run, static_argnums=0), model, params, Hyper(), carry, batch) == message

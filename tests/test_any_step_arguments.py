"""Arguments that do not fit a step: each told in one line."""

import jax.numpy as jnp
import pytest
from command import complaint
from test_any_step import SMALL, scalar

import rnnjax
from rnnjax.config import GradientConfig
from rnnjax.errors import UserError
from rnnjax.gradients import make_method
from rnnjax.gradients.method import Window
from rnnjax.model.network import Batch

WINDOW = (*SMALL, jnp.zeros(3), jnp.zeros(3))


WRONG = {
    "gradient.method is 'rtlr', but must be one of autodiff, manual": lambda: of_scalar("rtlr"),
    "an option is 'snap_step', but must be one of insist, segments": lambda: of_scalar("snap", snap_step=2),
    "gradient.k1_steps is 0": lambda: of_scalar("truncated", k1_steps=0),
    "reduce is 'all', but must be mean or sum": lambda: of_scalar("rtrl", reduce="all"),
    "method rflo: its eligibilities are those of leaky units": lambda: of_scalar("rflo"),
    "method kf_rtrl: its factors": lambda: of_scalar("kf_rtrl"),
    "method manual looks at a whole window": lambda: rnnjax.online(scalar, "squared_error", "manual"),
    "memory is None: init": lambda: rnnjax.online(scalar, "squared_error", batch_axes=0).update(*SMALL, None, 1.0, 1.0),
    "memory is of the type ArrayImpl, but must be OuterProduct, from the window or the step before; in": (
        lambda: rnnjax.online(scalar, "squared_error", batch_axes=0).update(SMALL[0], object(), SMALL[1], 1.0, 1.0)
    ),
    "memory is of the type tuple, but must be None, as this method has none": lambda: of_scalar(
        "manual", batch_axes=0
    ).window(*WINDOW, memory=()),
    "x_t is []": lambda: rnnjax.online(scalar, "squared_error").init(SMALL[0], jnp.zeros(2), 1.0),
    "loss is 'mse': it must be one of cross_entropy": lambda: rnnjax.gradient(scalar, "mse"),
    "state is []: every array of the state must lead with the same 1 batch axes": lambda: of_scalar("manual")(*WINDOW),
    "xs is [3], but must lead with [T, *B] = [3, 2]": lambda: of_scalar("manual")(
        SMALL[0], jnp.zeros(2), jnp.zeros(3), jnp.zeros((3, 2))
    ),
    "ys is [2], but must lead with [T, *B] = [3]": lambda: of_scalar("manual", batch_axes=0)(
        *SMALL, jnp.zeros(3), jnp.zeros(2)
    ),
    "xs and ys have no time step": lambda: of_scalar("manual", batch_axes=0)(*SMALL, 1.0, 1.0),
    "numpy.array(...) makes one array of nested lists": lambda: of_scalar("manual", batch_axes=0)(
        *SMALL, [1.0, 2.0], [0.0, 0.0]
    ),
    "adjoint must give a d_params like params: ": lambda: by_hand(lambda p, s, x, d_s, d_o: (d_s, d_s)),
    "adjoint: the derivative by state is [2], not []": lambda: by_hand(lambda p, s, x, d_s, d_o: (p, jnp.zeros(2))),
    "adjoint returns a dict, but must return (d_params": lambda: by_hand(lambda p, s, x, d_s, d_o: p),
    "valid is [2], but must be [T, *B] = [3]": lambda: of_scalar("manual", batch_axes=0)(*WINDOW, valid=[True, True]),
    "params['w'] is a str, not an array": lambda: of_scalar("manual", batch_axes=0)({"w": "one"}, *WINDOW[1:]),
    "params has no array of floating-point numbers": lambda: of_scalar("manual", batch_axes=0)({"w": 1}, *WINDOW[1:]),
    "state is complex128: hold its real": lambda: of_scalar("manual", batch_axes=0)(SMALL[0], 1j, *WINDOW[2:]),
    "params and state hold float32 and float64: forward in time": lambda: rnnjax.gradient(
        lambda p, s, x: ((p["u"] * s).astype(s.dtype), s), "squared_error", "rtrl", batch_axes=0
    )(SMALL[0], jnp.float32(0.4), *WINDOW[2:]),
    "state['h'] of one stream was float64[] and becomes float64[2]": lambda: rnnjax.gradient(
        lambda params, state, x: ({"h": jnp.zeros(2)}, x), "squared_error", batch_axes=0
    )(SMALL[0], {"h": 0.0}, *WINDOW[2:]),
    "its state was PyTreeDef(*) and becomes PyTreeDef((*, *))": lambda: rnnjax.gradient(
        lambda params, state, x: ((x, x), x), "squared_error", batch_axes=0
    )(*WINDOW),
    "step returns float64[], but must return (state, output)": lambda: rnnjax.gradient(
        lambda p, s, x: s, "squared_error", batch_axes=0
    )(*WINDOW),
    "one stream at one step, but gives float64[1]": lambda: rnnjax.gradient(
        scalar, lambda out, y: y[None], batch_axes=0
    )(*WINDOW),
    "an option is 'kernel', but must be one of": lambda: of_scalar("manual", kernel="numba"),
    "squared_error: the output is [] and y [2]": lambda: of_scalar("manual", batch_axes=0)(
        *WINDOW[:3], jnp.zeros((3, 2))
    ),
    "ys has the id 2, but the output has the classes 0 to 1": lambda: rnnjax.gradient(
        lambda p, s, x: (s, p["u"] * jnp.stack([s, s])), "cross_entropy", batch_axes=0
    )(*WINDOW[:3], jnp.array([0, 1, 2])),
}


def of_scalar(method, **options):
    return rnnjax.gradient(scalar, "squared_error", method, **options)


def by_hand(adjoint):
    return of_scalar("manual", batch_axes=0, adjoint=adjoint)(*WINDOW)


def test_what_does_not_fit_is_told_in_one_line():
    for message, call in WRONG.items():
        assert message in complaint(call)


def test_a_window_without_trace_or_noise_is_told_so():
    recurrence = of_scalar("rtrl", batch_axes=0).recurrence
    bare = Window(*SMALL[:1], (), SMALL[1], Batch(jnp.zeros(3), jnp.zeros(3), jnp.ones(3)))
    for name in ("rtrl", "snap"):
        with pytest.raises(UserError, match=r"needs the trace of a window, which is None: it comes from Method\.init"):
            make_method(GradientConfig(name)).gradient(recurrence, bare)
    for name in ("uoro", "artbp", "forward_gradient", "spsa"):
        with pytest.raises(UserError, match=r"needs the noise of a window, which is None: it comes from Method\.draw"):
            make_method(GradientConfig(name)).gradient(recurrence, bare)

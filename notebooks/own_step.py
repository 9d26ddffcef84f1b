# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own step
#
# In ten minutes: a recurrence of your own, its gradient by several methods, the gradient forward in time, a proof of
# all of them on your step, and a cell of your own trained on data of your own.
#
# A recurrence is one pure function, from parameters, state and input to the next state and an output. Parameters,
# state, input and output are trees of arrays of any kind. The step is written for one stream at one time.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import rnnjax

jax.config.update("jax_enable_x64", True)  # so that rounding is not what is seen
plt.rcParams.update({"figure.figsize": (7, 3.2), "axes.grid": True, "grid.alpha": 0.3, "figure.dpi": 90})


def step(params, state, x):
    """A unit with a slow memory beside it."""
    h = jnp.tanh(x @ params["U"] + state["h"] @ params["W"] + state["slow"])
    slow = 0.9 * state["slow"] + 0.1 * h
    return {"h": h, "slow": slow}, h @ params["V"]


# %% [markdown]
# Data: 20 steps of 8 streams, the target the input of two steps ago. Time comes first, `[T, B, ...]`.

# %%
T, B, H = 20, 8, 6
rng = np.random.default_rng(0)
params = {
    "U": rng.normal(size=(1, H)),
    "W": rng.normal(size=(H, H)) / np.sqrt(H),
    "V": rng.normal(size=(H, 1)) / np.sqrt(H),
}
state = {"h": np.zeros((B, H)), "slow": np.zeros((B, H))}
xs = rng.normal(size=(T, B, 1))
ys = np.concatenate([np.zeros((2, B, 1)), xs[:-2]])

# %% [markdown]
# ## One gradient, three methods
#
# `manual` goes back through time and asks JAX for the derivative of one step only. `rtrl` goes forward and never back,
# at a higher price. `uoro` goes forward cheaply, and is right on average alone.

# %%
gradients = {}
for method in ("manual", "rtrl", "uoro"):
    grad = jax.jit(rnnjax.gradient(step, "squared_error", method=method))
    value, gradients[method] = grad(params, state, xs, ys, key=jax.random.key(0))
    print(f"{method:7} loss {value:.6f}, |dW| {jnp.linalg.norm(gradients[method]['W']):.6f}")

difference = jnp.max(jnp.abs(gradients["manual"]["W"] - gradients["rtrl"]["W"]))
print(f"manual and rtrl differ by at most {difference:.0e}")

# %% [markdown]
# One draw of `uoro` is far from the gradient; the mean of many comes near it, with the root of their number.

# %%
grad = rnnjax.gradient(step, "squared_error", method="uoro")
keys = jax.random.split(jax.random.key(1), 4096)
draws = jax.jit(jax.vmap(lambda key: grad(params, state, xs, ys, key=key)[1]["W"]))(keys)
counts = 2 ** np.arange(13)
truth = gradients["manual"]["W"]
errors = [jnp.linalg.norm(draws[:n].mean(0) - truth) / jnp.linalg.norm(truth) for n in counts]

plt.loglog(counts, errors, "o-", label="uoro")
plt.loglog(counts, errors[0] / np.sqrt(counts), "--", color="grey", label="1/√n")
plt.xlabel("draws averaged")
plt.ylabel("relative error of dW")
plt.legend()
plt.show()

# %% [markdown]
# ## Forward in time, one step a call
#
# For a stream without end: a pair of functions, as an optimiser of optax is one. The memory does not grow with time,
# and at fixed parameters the steps of a window add up to its gradient.

# %%
online = rnnjax.online(step, "squared_error", method="rtrl")
now, memory, total = state, online.init(params, state), 0.0
update = jax.jit(online.update)
for x_t, y_t in zip(xs, ys, strict=True):
    now, memory, value, grads = update(params, now, memory, x_t, y_t)
    total += grads["W"]

window = rnnjax.gradient(step, "squared_error", method="manual", reduce="sum")(params, state, xs, ys)[1]["W"]
print(f"sum of {T} steps less the window's gradient: {jnp.max(jnp.abs(total - window)):.0e}")

# %% [markdown]
# ## The certificate
#
# Each method is held to what theory says of it, on your step and your data: the exact ones to the true gradient, the
# unbiased ones averaged over all of their noise. What needs the structure of a network of cells says so.

# %%
few = slice(0, 3)
start = jax.tree.map(lambda leaf: leaf[few], state)
report = rnnjax.certify(
    step, "squared_error", params, start, xs[:5, few], ys[:5, few], methods=["manual", "rtrl", "uoro"]
)
print(report)

# %% [markdown]
# ## A cell of your own
#
# A cell is the step that can be fast: one recurrent product, and a function that mixes nothing over time. The adjoint
# is derived from it. `rnnjax.network` stacks it as it stacks the built-in ones.


# %%
def forward(hyper, a, z, state):  # a and z [..., 2 H], for two gates; each part of the state [..., H]
    (a_keep, a_new), (z_keep, z_new) = jnp.split(a, 2, axis=-1), jnp.split(z, 2, axis=-1)
    keep, new = jax.nn.sigmoid(a_keep + z_keep), jnp.tanh(a_new + z_new)
    h = keep * state[0] + (1 - keep) * new
    return (h,), {"gate keep": keep, "tanh new": new}


keeper = rnnjax.Cell("keeper", gates=("keep", "new"), forward=forward)
net = rnnjax.network(cell=keeper, hidden=16, layers=1, inputs=1, outputs=1)
weights = net.init(jax.random.key(0), "float64")

# %% [markdown]
# Train it on the task above, with the gradient of your choice and gradient descent by hand.

# %%
grad = rnnjax.gradient(net.step, "squared_error", method="manual")
begin = net.state(weights, B)


@jax.jit
def descend(weights, key):
    xs = jax.random.normal(key, (T, B, 1))
    ys = jnp.concatenate([jnp.zeros((2, B, 1)), xs[:-2]])
    value, grads = grad(weights, begin, xs, ys)
    return jax.tree.map(lambda w, g: w - 0.1 * g, weights, grads), value


losses = []
for key in jax.random.split(jax.random.key(2), 3000):
    weights, value = descend(weights, key)
    losses.append(value)

_, outputs = net.apply(weights, xs)
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2))
left.semilogy(np.asarray(losses))
left.set(xlabel="step", ylabel="squared error", title="training")
right.plot(ys[:, 0, 0], "o-", label="target: the input of two steps ago")
right.plot(outputs[:, 0, 0], "x--", label="network")
right.set(xlabel="t", title="one new stream")
right.legend()
plt.show()
print(f"mean loss of the first and of the last 100 steps: {np.mean(losses[:100]):.3f}, {np.mean(losses[-100:]):.3f}")

# %% [markdown]
# ## On
#
# In a file of its own the same cell trains from the command line, on text or on your arrays:
# `python -m rnnjax.train --model.cell keeper.py:keeper`. The tutorials of the documentation tell the rest: masks and
# resets, adjoints by hand, series from `.npz` and CSV files, studies.

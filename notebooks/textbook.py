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
# # The chapter, alive
#
# The chapter's road in its own order: the forward pass, back-propagation through time, vanishing and exploding
# gradients, clipping, the data, training, songs. Every number below comes from a function of `rnnjax`, named beside the
# equation it computes; this notebook draws, and defines no mathematics of its own. It runs from top to bottom in a
# minute. The chapter's four architectures are in `architectures.ipynb`.
#
# The letters are the chapter's: `U` from input to hidden, `W` from hidden to hidden, `V` from hidden to output, `h`
# the hidden state, `ŷ` the output. Vectors are rows here, so what the chapter writes $W h$ is `h @ W`.

# %%

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

jax.config.update("jax_enable_x64", True)  # so that rounding is not what is seen

from rnnjax.config import Config, DataConfig, ModelConfig, OptimizerConfig, SamplingConfig, TrainingConfig
from rnnjax.textbook import forward, gradients
from rnnjax.textbook.network import outputs, small_case, square_case, trace, with_input

plt.rcParams.update({"figure.figsize": (7, 3.6), "axes.grid": True, "grid.alpha": 0.3, "figure.dpi": 90})

# %% [markdown]
# ## The forward pass
#
# $$h_t = \tanh(U x_t + W h_{t-1} + b_h) \qquad \hat y_t = \mathrm{softmax}(V h_t + b_y)$$
#
# `model.rnn.cell_step` is the first equation and `model.rnn.hidden_to_output` the argument of the softmax; `unroll`
# scans the first over time. The chapter's own run prints a table in which every entry is 0.1. Its line for $h_t$ is
# commented out, so the state stays zero, and a softmax of ten zeros is ten times 0.1, whatever the weights are.

# %%
case = square_case(seed=0)
pd.DataFrame(forward.outputs_without_hidden_state(case)).round(3)

# %% [markdown]
# With the line in place the rows differ. The chapter's inputs, 10, 12, …, 18, name columns that a 10-column `U` does
# not have; here they are taken modulo 10 (`python -m rnnjax.textbook forward` also shows a `U` with 19 columns).

# %%
h = trace(with_input(case, [x % 10 for x in forward.INPUTS])).h
pd.DataFrame(np.asarray(outputs(case, h))).round(3)

# %% [markdown]
# ## Back-propagation through time
#
# The loss is $L = \sum_t L_t$ with $L_t = -\log \hat y_t[y_t]$ (`model.loss.cross_entropy`, which averages, as the
# chapter's code does). The corrected double sum over the step $j$ of an error and the step $k$ at which $W$ was used is
#
# $$\frac{\partial L}{\partial W} = \sum_j \sum_{k \le j} \mathrm{diag}(1 - h_k^2)
# \Big[\prod_{m=k+1}^{j} W^\top \mathrm{diag}(1 - h_m^2)\Big] V^\top (\hat y_j - y_j) \otimes h_{k-1}.$$
#
# The chapter prints it without $V^\top$ and without $\mathrm{diag}(1 - h_k^2)$. `gradients.textbook` is the corrected
# double sum, `gradients.manual` the same reordered into one recurrence backward in time, `gradients.autodiff` is
# `jax.grad` through the scan, and `gradients.parallel_scan` multiplies the transposed Jacobians of all steps as an
# associative scan. Four roads, one gradient:

# %%
small = small_case(seed=0)
found = {name: gradients.of_the_sum(small, name) for name in ("textbook", "manual", "autodiff", "parallel_scan")}
rows = {name: np.asarray(g.layers[0].W).T.ravel() for name, g in found.items()}
pd.DataFrame(rows, index=["W[0,0]", "W[0,1]", "W[1,0]", "W[1,1]"])

# %% [markdown]
# And the formula as printed, read in every way that could save it, against autodiff and against central differences.
# With 2 units and 3 outputs the printed one has no value at all, as its factors do not fit; in the chapter's
# 10-10-10 network, where they do, the value is wrong.

# %%
readings = {
    title: gradients.make_readings(some, trace(some), gradients.true_gradient(some))
    for title, some in {"2 units, 3 outputs": small, "10 units, 10 outputs": case}.items()
}
pd.DataFrame(
    {title: [gradients.judge(claim).text for claim in claims] for title, claims in readings.items()},
    index=list(gradients.READINGS),
)

# %% [markdown]
# ## Vanishing and exploding gradients
#
# How far back does a loss reach? $\|\partial L_t / \partial h_{t-k}\|$ against the lag $k$, for the same network with
# $W$ an orthogonal matrix times 0.5, 1 and 1.8 (`analysis.lags.by_lag`, which walks all losses of a window back side
# by side). On a logarithmic axis a vanishing gradient is a falling line, an exploding one a rising line.

# %%
from rnnjax.analysis.lags import by_lag, truncation
from rnnjax.data.corpus import load_corpus
from rnnjax.data.streams import fold_into_streams
from rnnjax.model.cells import Hyper
from rnnjax.model.initializers import init_params
from rnnjax.model.network import Batch, Model, zero_carry

data = DataConfig()  # the songs that ship with the package
corpus = load_corpus(data)
T, B = 64, 4
model = Model(len(corpus.vocabulary), 64)
window = fold_into_streams(corpus.ids.validation, B, T)[:, : T + 1].T
batch = Batch(jnp.asarray(window[:-1]), jnp.asarray(window[1:]))
look = jax.jit(by_lag, static_argnums=0)

fig, (left, right) = plt.subplots(1, 2, figsize=(11, 3.8))
for scale in (0.5, 1.0, 1.8):
    params = init_params(jax.random.key(0), model, "orthogonal", scale, jnp.dtype("float64"))
    report = look(model, params, Hyper(), zero_carry(model, (B,), jnp.dtype("float64")), batch)
    lags = np.arange(T // 2)
    mean = [float(np.nanmean(report.norms[k, T // 2 :])) for k in lags]
    left.semilogy(lags, mean, label=f"{scale} x orthogonal")
    right.plot(np.arange(1, T + 1), truncation(report.sizes)[0].bias, label=f"{scale} x orthogonal")
left.set(xlabel="lag k (characters)", ylabel="norm of dL(t)/dh(t-k), nats", title="how far back a loss reaches")
right.set(xlabel="steps kept", ylabel="relative error of the gradient", title="what truncation leaves out")
right.set_ylim(0, 1.5)
left.legend()
right.legend()
plt.show()

# %% [markdown]
# ## Clipping
#
# The chapter's formula scales a gradient that is too long, $\hat g = g \cdot \mathrm{threshold} / \|g\|$, and keeps its
# direction; its code cuts each element to ±threshold and turns it. Both are in `training.clipping.make_clip`.

# %%
from rnnjax.analysis.clipping import compare
from rnnjax.textbook.clipping import clip

fig, ax = plt.subplots(figsize=(6, 3.4))
g = jnp.asarray([8.0, 2.0])
for vector, label, color in (
    (g, "the gradient", "0.6"),
    (clip(g, "global_norm", 5.0), "by norm (the formula)", "C0"),
    (clip(g, "value", 5.0), "by value (the code)", "C3"),
):
    angle = float(compare(g, vector).angle)
    ax.annotate("", vector, (0, 0), arrowprops={"arrowstyle": "->", "color": color, "lw": 2})
    ax.plot([], [], color=color, label=f"{label}: length {float(jnp.linalg.norm(vector)):.2f}, turned {angle:.1f}°")
ax.set(xlim=(0, 9), ylim=(0, 5), xlabel="first element", ylabel="second element", title="threshold 5")
ax.legend(loc="upper left")
plt.show()

# %% [markdown]
# ## The data
#
# Songs joined by `", "`, the sorted set of their characters as vocabulary, a number for each character
# (`data.vocabulary.Vocabulary`, the chapter's `char_to_ix` and `ix_to_char`). The package brings its own small corpus;
# `python -m rnnjax.explore --data.path songdata.csv` shows the chapter's.

# %%
from rnnjax.data.ngrams import held_out_bits
from rnnjax.data.songs import read_table
from rnnjax.data.statistics import artist_statistics

_, table = read_table(data)
artists = artist_statistics(table, "artist")
print(f"{len(table)} songs, {artists['artists']} artists, {artists['songs_per_artist']['mean']:.2f} songs each")
print(f"{len(corpus.vocabulary.characters)} different characters; 's' is {corpus.vocabulary.encode('s')[0]}")
table[["artist", "song", "text"]].head()

# %%
print(corpus.text.train[:280])
print(np.eye(7)[4], "<- the one-hot vector of the character with number 4 of 7, as the chapter shows it")

# %% [markdown]
# A look-up of row 4 of `U` is the product with that vector, without the zeros (`model.rnn.input_to_hidden`).
#
# Before any training: how well do *counts* predict the held-out songs? Smoothed n-gram models of order 0 to 5, in bits
# per character (`data.ngrams.held_out_bits`). This is the bar for the network.

# %%
bits = held_out_bits(corpus.ids, len(corpus.vocabulary))["validation"]
fig, ax = plt.subplots()
ax.bar(list(bits), list(bits.values()))
ax.axhline(np.log2(len(corpus.vocabulary)), color="C3", ls="--", label="equally likely characters")
ax.set(xlabel="order of the n-gram model (characters of context)", ylabel="held-out bits per character")
ax.legend()
plt.show()
bar = min(bits.values())

# %% [markdown]
# ## Training
#
# One training step is window, gradient, clipping, Adam (`training.step.make_step`); a chunk of steps is one compiled
# program. The state goes from window to window, as the chapter's `hprev` does. A small GRU, which learns in a minute:

# %%
from rnnjax.build import make_text_model
from rnnjax.training.evaluation import fold, make_evaluate
from rnnjax.training.samples import make_sampler
from rnnjax.training.state import init_state
from rnnjax.training.step import make_chunk

config = Config(
    model=ModelConfig(cell="gru", hidden_size=96),
    optimizer=OptimizerConfig(learning_rate=5e-3, clip_threshold=1.0, decay="cosine"),
    training=TrainingConfig(steps=1_200, batch_size=16, sequence_length=48, steps_per_dispatch=100),
    sampling=SamplingConfig(length=160, temperature=0.7),
)
model = make_text_model(config, corpus.vocabulary)
state = init_state(config, model, jnp.dtype("float32"))
streams = jnp.asarray(fold_into_streams(corpus.ids.train, config.training.batch_size, config.training.sequence_length))
chunk, evaluate = make_chunk(config, model), make_evaluate(model)
held_out = fold(corpus.ids.validation)
sample = make_sampler(config, model, corpus.vocabulary.song_start(data.separator))

losses, validation, written = [], {}, {}
for step in range(0, config.training.steps + 1, 100):
    validation[step] = float(evaluate(state.params, state.hyper, held_out)) / np.log(2)
    if step in (0, 200, config.training.steps):
        ids = sample(state.params, state.hyper, state.carry, streams, jnp.int32(step))
        written[step] = corpus.vocabulary.decode(np.asarray(ids))
    if step < config.training.steps:
        state, infos = chunk(state, streams, np.int32(100))
        losses += (np.asarray(infos.loss) / np.log(2)).tolist()

fig, ax = plt.subplots()
ax.plot(losses, alpha=0.4, label="training")
ax.plot(list(validation), list(validation.values()), "o-", label="held-out")
ax.axhline(bar, color="C3", ls="--", label=f"best n-gram model, held-out: {bar:.2f}")
ax.set(xlabel="training step", ylabel="bits per character")
ax.legend()
plt.show()

# %% [markdown]
# ## Songs
#
# The chapter writes a song every 500 steps; before training, soon after, and at the end:

# %%
for step, text in written.items():
    print(f"--- step {step}: {validation[step]:.2f} bits per character\n{text}\n")

# %% [markdown]
# ## What the units do
#
# The states along a line of a held-out song, one row a unit (`analysis.units.values` recomputes each step's gates from
# the state before it). Some units follow spaces, some the end of a line, most nothing that has a name.

# %%
from rnnjax.analysis.lags import trajectory
from rnnjax.analysis.units import values
from rnnjax.model.network import initial_carry

text = corpus.text.validation[:70]
ids = jnp.asarray(corpus.vocabulary.encode(text))
line = Batch(ids[:-1], ids[1:])
before, after = trajectory(model, state.params, state.hyper, initial_carry(model, state.params, ()), line)
gates = values(model, state.params, state.hyper, before, line)[0]

fig, axes = plt.subplots(2, 1, figsize=(11, 5), sharex=True)
shown = {"h": (after[0], "RdBu", -1), "update gate (1 keeps the state)": (gates["gate u"], "viridis", 0)}
for ax, (title, (array, colors, low)) in zip(axes, shown.items(), strict=True):
    picture = ax.imshow(np.asarray(array)[:, :24].T, aspect="auto", cmap=colors, vmin=low, vmax=1)
    ax.set(ylabel="unit", title=title)
    ax.grid(False)
    fig.colorbar(picture, ax=ax, pad=0.01)
axes[-1].set_xticks(range(len(text) - 1), [c if c != "\n" else "↵" for c in text[:-1]], fontsize=8)
axes[-1].set_xlabel("character read")
plt.show()

# %% [markdown]
# ## One to one
#
# $$x_0 \to \hat y_0 = x_1 \to \hat y_1 = x_2 \dots$$
#
# Each output is the next input (`model.sampling.fed_back`): the network above, writing. In training it is told the true
# character after each guess; alone it reads what it drew itself, and drifts away from the true text. Both losses on the
# same held-out characters (`tasks.one_to_one.compare`): left alone, the network soon does worse than knowing nothing,
# as it is as sure of its own text as of the true one.

# %%
from rnnjax.tasks import one_to_one

stretches = one_to_one.cut(corpus.ids.validation)
told, alone = one_to_one.compare(model, state.params, state.hyper, stretches, jax.random.key(0))

fig, ax = plt.subplots()
ax.plot(np.asarray(told) / np.log(2), label="told the true characters (teacher forcing)")
ax.plot(np.asarray(alone) / np.log(2), label="reading its own (free running)")
ax.axhline(bits["0"], color="0.4", ls="--", lw=1, label="characters by their frequency alone")
ax.set(xlabel="characters since it was left alone", ylabel="bits at the true character", ylim=(0, 12))
ax.legend(loc="upper right")
plt.show()

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
# # The four architectures
#
# They differ in three things: which steps are given an input, which are asked for an output, and where the first state
# comes from. The layers are the same, and so is the training (`model.architectures`; `s` is a state):
#
# | | | function |
# |---|---|---|
# | one to one | $x_0 \to \hat y_0 = x_1 \to \hat y_1 = x_2 \dots$ | `model.sampling.fed_back` |
# | one to many | $c \to s_{-1} \to \hat y_0, \hat y_1, \dots$ | `one_to_many` |
# | many to one | $x_0 \dots x_{n-1} \to \hat y$ | `many_to_one` |
# | many to many, aligned | $x_t \to \hat y_t$ | `many_to_many` |
# | many to many, unequal | $x_0 \dots x_{n-1} \to s \to \hat y_0 \dots \hat y_{m-1}$ | `encode`, `decode` |
#
# One to one is the network of `textbook.ipynb`, and ends that notebook. The others learn from examples.
# `tasks.make_task` reads them and pairs them with a loss; the chunk of steps is the one that trains every network.
# Small networks and few steps here, which take a minute of processor time; `configs/` has the full ones.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from rnnjax.config import Config, DataConfig, ModelConfig, OptimizerConfig, SamplingConfig, TaskConfig, TrainingConfig
from rnnjax.model.network import Batch
from rnnjax.tasks import make_task
from rnnjax.training.step import chunk_of

plt.rcParams["figure.dpi"] = 90
pd.set_option("display.max_colwidth", None)

slow, fast = (
    OptimizerConfig(learning_rate=rate, clip_threshold=1.0, decay="cosine", warmup_steps=20) for rate in (5e-3, 1e-2)
)
small_runs = {
    "one to many": Config(
        task=TaskConfig("one_to_many", max_length=64),
        data=DataConfig(test_fraction=0.4),  # the songs that the judge of its songs learns from
        model=ModelConfig(cell="gru", hidden_size=96),
        optimizer=slow,
        training=TrainingConfig(steps=200),
        sampling=SamplingConfig(length=120, temperature=0.7),
    ),
    "many to one": Config(
        task=TaskConfig("many_to_one"),
        data=DataConfig("digits"),
        model=ModelConfig(cell="gru", hidden_size=64),
        optimizer=fast,
        training=TrainingConfig(steps=700),
    ),
    "many to many": Config(
        task=TaskConfig("many_to_many", max_length=48),
        model=ModelConfig(cell="gru", hidden_size=48, bidirectional=True),
        optimizer=slow,
        training=TrainingConfig(steps=250),
    ),
    "unequal lengths": Config(
        task=TaskConfig("seq2seq", numbers=3_000),
        data=DataConfig("numbers", validation_fraction=0, test_fraction=0.03),
        model=ModelConfig(cell="gru", hidden_size=48, embedding_size=16, attention="general"),
        optimizer=slow,
        training=TrainingConfig(steps=400),
    ),
}
tasks, ends, learned = {}, {}, {}
for name, small_run in small_runs.items():
    tasks[name] = make_task(small_run)
    ends[name], examples = tasks[name].start(), jax.tree.map(jnp.asarray, tasks[name].data)
    chunk, most = chunk_of(small_run, tasks[name].step), small_run.training.steps_per_dispatch
    for done in range(0, small_run.training.steps, most):
        ends[name], _ = chunk(ends[name], examples, np.int32(min(most, small_run.training.steps - done)))
    learned[name] = tasks[name].conclude(ends[name], examples)
    print(tasks[name].summary)

# %% [markdown]
# ## One to many
#
# $$s_{-1} = S_c \qquad s_t = \mathrm{cell}(x_t, s_{t-1}) \qquad \hat y_t = \mathrm{softmax}(V h_t + b_y)$$
#
# The one input is a band's name, $c$; it chooses the row $S_c$ of a learned table as the state to begin from
# (`one_to_many`), and all after that is text. Every band is given the same first input here, and from its own state
# expects another beginning; that one of the bands writes no capitals is learned first. The likeliest first characters:

# %%
from rnnjax.model.architectures import one_to_many
from rnnjax.tasks import one_to_many as songs_of_bands

run, task, end = (of["one to many"] for of in (small_runs, tasks, ends))
characters, bands = [*task.names["characters"], "another"], task.names["labels"]
first = jnp.full((1, len(bands)), characters.index(songs_of_bands.START))
logits = one_to_many(
    songs_of_bands.shape_of(run, task.names), end.params, end.hyper, jnp.arange(len(bands)), Batch(first, first)
)
p = np.asarray(jax.nn.softmax(logits[0]))
pd.DataFrame([[f"{characters[i]!r} {of_band[i]:.0%}" for i in np.argsort(-of_band)[:5]] for of_band in p], index=bands)

# %% [markdown]
# To be recognised by a classifier takes more steps than these:

# %%
print("\n".join(task.report(learned["one to many"].result)))

# %% [markdown]
# ## Many to one
#
# $$h_t = \mathrm{cell}(x_t, h_{t-1}) \qquad \hat y = \mathrm{softmax}(V h_{n-1} + b_y)$$
#
# A handwritten digit is read pixel by pixel, row by row, and named after the last of 64 (`many_to_one`). Sequences that
# end earlier are padded, and the state is held there. So one batch of the same image, cut off after 1, 2, … 64 pixels,
# shows when the network makes up its mind:

# %%
from rnnjax.model.architectures import many_to_one, steps_within
from rnnjax.tasks import many_to_one as labels_of

run, task, end = (of["many to one"] for of in (small_runs, tasks, ends))
shape, held_out_images = labels_of.shape_of(run, task.names), task.held_out
fig, axes = plt.subplots(2, 3, figsize=(11, 4.6), height_ratios=(1, 1.3), layout="constrained")
for (above, below), image in zip(axes.T, (0, 1, 2), strict=True):
    pixels, digit = held_out_images.x[image], int(held_out_images.label[image])
    x = jnp.tile(pixels[:, None, None], (1, 64, 1))
    prefixes = Batch(x, x, valid=steps_within(jnp.arange(1, 65), 64))
    p = np.asarray(jax.nn.softmax(many_to_one(shape, end.params, end.hyper, prefixes)))
    above.imshow(pixels.reshape(8, 8), cmap="gray_r")
    above.set(xticks=[], yticks=[], title=f"a held-out {digit}")
    picture = below.imshow(p.T, cmap="viridis", aspect="auto", vmin=0, vmax=1, extent=(0.5, 64.5, 9.5, -0.5))
    below.set(xlabel="pixels read", ylabel="digit", yticks=range(10))
    below.grid(False)
fig.colorbar(picture, ax=axes, label="probability")
plt.show()
print("\n".join(task.report(learned["many to one"].result)))

# %% [markdown]
# ## Many to many, aligned
#
# $$\hat y_t = \mathrm{softmax}([\overrightarrow{h_t}, \overleftarrow{h_t}] V + b_y)$$
#
# An output for each input. The lyrics model is one; here each character gets a tag: whether it belongs to its
# word's first syllable, ends it, or comes later. The character alone does not tell, and what decides stands partly
# after it, so that one half of the layer reads backward (`many_to_many`). Held-out lines, a mark after each first
# syllable:

# %%
task, found = tasks["many to many"], learned["many to many"]
print("\n".join(task.report(found.result)))
pd.DataFrame(found.predictions).head(8)

# %% [markdown]
# ## Many to many, unequal lengths
#
# An encoder reads the source, and the decoder goes on from the state that it leaves (`encode`, `decode`). At each
# step the decoder also looks back at all of the encoder's states, weighted by how well they fit its own (`attend`):
#
# $$a_{ts} = \mathrm{softmax}_s(h_t A \bar h_s) \qquad c_t = \sum_s a_{ts} \bar h_s \qquad
# \tilde h_t = \tanh([c_t, h_t] M + m) \qquad \hat y_t = \mathrm{softmax}(V \tilde h_t + b_y)$$
#
# Numbers below a million in words and back, by one network. So few steps are too few to be right about most of them;
# the weights $a$ begin to follow what is written:

# %%
task, found = tasks["unequal lengths"], learned["unequal lengths"]
task.figures(found.result)["attention.png"]

# %% [markdown]
# What it writes is found by a search (`model.beam_search.beam_search`). Greedily, the likeliest character is taken at
# every step; a beam follows several beginnings side by side, so that a step that was not the likeliest can still be
# part of the likeliest text.

# %%
shown = [row for row in found.predictions if len(row["source"]) < 4 or len(row["truth"]) < 4]
pd.DataFrame(shown or found.predictions).head(8)

# %%
print("\n".join(task.report(found.result)))

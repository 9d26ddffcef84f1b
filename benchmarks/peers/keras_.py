"""Keras on TensorFlow: a stateful layer and train_on_batch, one-hot inputs from the host (documented); or up to K steps
in one tf.function, short windows written out, one-hot rows taken from a table (best: its layers take vectors only).

XLA (jit_compile) is left out of the best style: at size S it made a step 2 to 9 times slower. On a GPU no window is
written out, as Keras then takes cuDNN's layers.
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf

from benchmarks.peers import Run, tensorflow_device
from benchmarks.problem import ADAM_EPSILON, CLIP_NORM, LEARNING_RATE, STEPS_PER_DISPATCH, VOCABULARY, Size, Text
from benchmarks.weights import Weights, reorder

ORDERS = {"rnn": (0,), "gru": (1, 0, 2), "lstm": (0, 1, 2, 3)}
"""Keras has the gates z, r, n of a GRU and PyTorch's of an LSTM."""

LONGEST_UNROLLED = 32


def make(cell: str, size: Size, weights: Weights, text: Text, style: str) -> Run:
    best = style == "best"
    device = tensorflow_device.set_up()
    if os.environ["PRODUCTS"] == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    model = make_model(cell, size, written_out=best and device == "CPU" and size.length <= LONGEST_UNROLLED)
    model.set_weights(convert(cell, weights))
    return (_run_chunks if best else _run_steps)(model, text)


def make_model(cell: str, size: Size, written_out: bool) -> keras.Model:
    """The layer with its default options, or with its window written out, as Keras recommends for a short one."""
    kind = {"rnn": keras.layers.SimpleRNN, "gru": keras.layers.GRU, "lstm": keras.layers.LSTM}[cell]
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(size.batch, size.length, VOCABULARY)),
            kind(size.hidden, return_sequences=True, stateful=True, unroll=written_out),
            keras.layers.Dense(VOCABULARY),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(LEARNING_RATE, epsilon=ADAM_EPSILON, global_clipnorm=CLIP_NORM),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


def convert(cell: str, weights: Weights) -> list[np.ndarray]:
    """In the order of Model.get_weights, less the state, which stays as it is."""
    order = ORDERS[cell]
    bias = reorder(weights.bh, order)
    if cell == "gru":
        bias = np.stack([bias, reorder(weights.bz, order)])
    return [reorder(weights.U, order), reorder(weights.W, order), bias, weights.V, weights.by]


def _run_steps(model: keras.Model, text: Text) -> Run:
    one_hot = np.eye(VOCABULARY, dtype=np.float32)
    position = 0

    def run(steps: int) -> np.ndarray:
        nonlocal position
        losses = []
        for _ in range(steps):
            window = position % len(text.x)
            if window == 0:
                model.layers[0].reset_states()
            model.reset_metrics()  # else the loss returned is the mean of all batches so far
            losses.append(model.train_on_batch(one_hot[text.x[window].T], text.y[window].T))
            position += 1
        return np.array(losses)

    return run


def _run_chunks(model: keras.Model, text: Text) -> Run:
    table = tf.eye(VOCABULARY)
    xs, ys = (tf.constant(ids.transpose(0, 2, 1)) for ids in text)
    layer, variables = model.layers[0], model.trainable_variables
    states = layer.states if isinstance(layer.states, list | tuple) else [layer.states]
    model.optimizer.build(variables)

    @tf.function
    def chunk(position, steps):
        losses = tf.zeros(STEPS_PER_DISPATCH)
        for i in tf.range(steps):
            window = (position + i) % len(text.x)
            for state in states:
                state.assign(tf.where(window == 0, tf.zeros_like(state), tf.convert_to_tensor(state)))
            with tf.GradientTape() as tape:
                logits = model(tf.gather(table, xs[window]), training=True)
                loss = model.loss(ys[window], logits)
            model.optimizer.apply(tape.gradient(loss, variables), variables)
            losses = tf.tensor_scatter_nd_update(losses, [[i]], [loss])
        return losses

    position = 0

    def run(steps: int) -> np.ndarray:
        nonlocal position
        losses = []
        for done in range(0, steps, STEPS_PER_DISPATCH):
            now = min(STEPS_PER_DISPATCH, steps - done)
            losses.append(chunk(tf.constant(position), tf.constant(now)).numpy()[:now])
            position += now
        return np.concatenate(losses)

    return run

"""The book's program: a TensorFlow 1 graph of T steps written out in Python, that share their weights; one-hot inputs
are fed from the host at each step, and the state goes out and in again."""

import numpy as np
import tensorflow.compat.v1 as tf

from benchmarks.peers import Run, tensorflow_device
from benchmarks.problem import ADAM_EPSILON, CLIP_NORM, LEARNING_RATE, VOCABULARY, Size, Text
from benchmarks.weights import Weights


def make(cell: str, size: Size, weights: Weights, text: Text, style: str) -> Run:
    assert cell == "rnn"
    tensorflow_device.set_up()
    tf.disable_v2_behavior()
    step_shape = (size.batch, VOCABULARY)
    x = tf.placeholder(tf.float32, (size.length, *step_shape))
    y = tf.placeholder(tf.float32, (size.length, *step_shape))
    h_start = tf.placeholder(tf.float32, (size.batch, size.hidden))
    U, W, bh, V, by = (
        tf.get_variable(name, initializer=tf.constant(getattr(weights, name))) for name in ("U", "W", "bh", "V", "by")
    )

    h, outputs = h_start, []
    for x_t in tf.unstack(x):
        h = tf.tanh(tf.matmul(x_t, U) + tf.matmul(h, W) + bh)
        outputs.append(tf.matmul(h, V) + by)
    surprise = tf.nn.softmax_cross_entropy_with_logits_v2(labels=y, logits=tf.stack(outputs))
    loss = tf.reduce_mean(surprise)

    optimizer = tf.train.AdamOptimizer(LEARNING_RATE, epsilon=ADAM_EPSILON)
    gradients, variables = zip(*optimizer.compute_gradients(loss), strict=True)
    clipped, _ = tf.clip_by_global_norm(gradients, CLIP_NORM)
    update = optimizer.apply_gradients(zip(clipped, variables, strict=True))

    session = tf.Session()
    session.run(tf.global_variables_initializer())
    one_hot = np.eye(VOCABULARY, dtype=np.float32)
    zeros = np.zeros((size.batch, size.hidden), np.float32)
    state, position = zeros, 0

    def run(steps: int) -> np.ndarray:
        nonlocal state, position
        losses = []
        for _ in range(steps):
            window = position % len(text.x)
            state = zeros if window == 0 else state
            feed = {x: one_hot[text.x[window]], y: one_hot[text.y[window]], h_start: state}
            state, value, _ = session.run([h, loss, update], feed)
            losses.append(value)
            position += 1
        return np.array(losses)

    return run

"""TensorFlow on the device of the others, its products as precise as theirs."""

import os

import tensorflow as tf


def set_up() -> str:
    """Chooses the device, before any array is made; returns its kind, CPU or GPU."""
    if os.environ["JAX_PLATFORMS"] == "cpu":
        tf.config.set_visible_devices([], "GPU")
        return "CPU"
    if not tf.config.list_physical_devices("GPU"):
        raise RuntimeError("this TensorFlow sees no GPU; pip install 'tensorflow[and-cuda]'")
    tf.config.experimental.enable_tensor_float_32_execution(False)
    return "GPU"

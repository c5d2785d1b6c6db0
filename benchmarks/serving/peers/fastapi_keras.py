"""The tutorial with a Keras model: by `model.predict`, or by a `tf.function` where HIDDEN_BY says so.

The tf.function is traced at the start, for any number of rows.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import tensorflow as tf

from benchmarks.serving.peers.network import ARTIFACTS
from benchmarks.serving.peers.tutorial import Forward, serve


def load() -> Forward:
    """The network as the probability of north (n,) of rows (n, 68)."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = keras.saving.load_model(ARTIFACTS / "hidden.keras")
    if os.environ.get("HIDDEN_BY") != "tf.function":
        return lambda rows: model.predict(rows, verbose=0)[:, 1]
    traced = tf.function(model, input_signature=[tf.TensorSpec((None, 68), tf.float32)])
    return lambda rows: traced(tf.constant(rows)).numpy()[:, 1]


app = serve(load())

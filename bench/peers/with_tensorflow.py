"""TensorFlow: Keras's SimpleRNN and Dense in tf.function, SGD; tokens as one-hot vectors. Arguments: threads, and `xla` to compile by XLA."""
import os
import sys

from serve import THREADS, absent, serve

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
try:
    import keras
    import tensorflow as tf
except ImportError as error:
    absent(error)

LEARNING_RATE = 0.1
XLA = "xla" in sys.argv[2:]
tf.config.threading.set_intra_op_parallelism_threads(THREADS)
tf.config.threading.set_inter_op_parallelism_threads(THREADS)


def build(cell, data, threads):
    keras.backend.clear_session()
    B, T, r, s, t = (cell[k] for k in "BTrst")
    rnn = keras.layers.SimpleRNN(s, activation=cell["f"], return_sequences=cell["readout"] == "all")
    model = keras.Sequential([keras.Input((T, r), batch_size=B), rnn, keras.layers.Dense(t)])
    model.set_weights([data["U"].T, data["W"].T, data["b"], data["V"].T, data["c"]])
    optimizer = keras.optimizers.SGD(LEARNING_RATE)
    optimizer.build(model.trainable_variables)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    x, y = tf.constant(data["x"]), tf.constant(data["y"])

    def logits(training):
        return model(tf.one_hot(x, r) if cell.get("tokens") else x, training=training)

    @tf.function(jit_compile=XLA)
    def step():
        with tf.GradientTape() as tape:
            loss = cross_entropy(y, logits(True))
        optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
        return loss

    @tf.function(jit_compile=XLA)
    def forward():
        return logits(False)

    return {"inference": forward, "training": step}, lambda result: result.numpy()


serve("TensorFlow XLA" if XLA else "TensorFlow", tf.__version__, build)

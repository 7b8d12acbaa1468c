"""JAX: lax.scan over time in jit(value_and_grad), weights given away to be overwritten; tokens pick rows of U. Arguments: threads."""
import os

from serve import THREADS, absent, serve

if THREADS == 1:
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
try:
    import jax
    import jax.numpy as jnp
    import numpy as np
except ImportError as error:
    absent(error)

LEARNING_RATE = 0.1


def build(cell, data, threads):
    all_steps = cell["readout"] == "all"
    f = {"tanh": jnp.tanh, "relu": jax.nn.relu}[cell["f"]]
    weights = {name: jnp.array(data[name].T) for name in "UWbVc"}
    x = jnp.array(np.moveaxis(data["x"], 0, 1))  # time first, as scan goes
    y = jnp.array(data["y"].T)

    def logits(p, x):
        inputs = (p["U"][x] if cell.get("tokens") else x @ p["U"]) + p["b"]

        def step(state, w):
            state = f(w + state @ p["W"])
            return state, state

        last, states = jax.lax.scan(step, jnp.zeros((cell["B"], cell["s"])), inputs)
        return (states if all_steps else last) @ p["V"] + p["c"]

    def cross_entropy(p, x, y):
        return -jnp.take_along_axis(jax.nn.log_softmax(logits(p, x)), y[..., None], -1).mean()

    def descend(p, x, y):
        loss, gradients = jax.value_and_grad(cross_entropy)(p, x, y)
        return jax.tree.map(lambda a, g: a - LEARNING_RATE * g, p, gradients), loss

    update, forward, trained = jax.jit(descend, donate_argnums=0), jax.jit(logits), [jax.tree.map(jnp.copy, weights)]

    def step():
        trained[0], loss = update(trained[0], x, y)
        return loss

    return {"inference": lambda: forward(weights, x), "training": step}, np.asarray


serve("JAX", jax.__version__, build)

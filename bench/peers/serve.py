"""
What the Python peers share: they answer the requests of bench/peers.mjs, one JSON object a line on stdin, by lines {"answer": …}.

    setup  a cell and the folder of its weights and data; builds the network
    check  what a pass computes, a few times over: the loss of a step before its update, or the mean square of the logits
    run    seconds that a pass takes, as samples of at least CALL_SECONDS each
    idle   bytes of memory that the process has now (Linux, as the next one)
    peak   the most that it had during so many passes

A peer calls serve(name, version, build); build(cell, data, threads) returns its passes, 'training' and 'inference', and a function that waits
for what a pass returned and gives it as a numpy array. bench/serve.mjs is the same for JavaScript.
"""
import gc
import json
import math
import os
import sys
import time

CALL_SECONDS = 0.01
THREADS = int(sys.argv[1]) if len(sys.argv) > 1 else 1


def say(**answer):
    print(json.dumps({"answer": answer}), flush=True)


def absent(error):
    """The library is not there: says so, and ends."""
    say(absent=str(error))
    sys.exit(0)


try:
    import numpy as np
except ImportError as error:
    absent(error)


def read(folder, cell):
    """U [s, r], W [s, s], b [s], V [t, s], c [t]; x [B, T, r] float32, or tokens [B, T] int32; y [B, T] or [B] int32."""
    B, T, r, s, t = (cell[k] for k in "BTrst")
    tokens, rows = cell.get("tokens", False), (B, T) if cell["readout"] == "all" else (B,)
    shapes = dict(U=(s, r), W=(s, s), b=(s,), V=(t, s), c=(t,), x=(B, T) if tokens else (B, T, r), y=rows)
    whole = ("x", "y") if tokens else ("y",)
    load = lambda name: np.fromfile(os.path.join(folder, name), "<i4" if name in whole else "<f4")
    return {name: load(name).reshape(shape) for name, shape in shapes.items()}


def memory(field):
    """Bytes, of the lines VmRSS (now) and VmHWM (the peak) of /proc/self/status."""
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith(field))


def number(array):
    """A loss as it is; of logits their mean square."""
    array = np.asarray(array, np.float64)
    return float(array) if array.ndim == 0 else float(np.mean(array * array))


def serve(name, version, build):
    say(name=name, version=version)
    passes, fetch, counts = {}, None, {}

    def timed(step, count):
        begin = time.perf_counter()
        for _ in range(count):
            last = step()
        fetch(last)
        return (time.perf_counter() - begin) / count

    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "setup":
                cell = request["cell"]
                passes, fetch = build(cell, read(request["folder"], cell), THREADS)
                counts = {}
                say(passes={kind: {"kind": kind} for kind in passes})
            elif request["do"] == "check":
                values, begin = [], time.perf_counter()
                while len(values) < request["steps"] and (not values or time.perf_counter() - begin < request["seconds"]):
                    values.append(number(fetch(passes[request["pass"]]())))
                say(values=values, seconds=(time.perf_counter() - begin) / len(values))
            elif request["do"] == "idle":
                gc.collect()
                say(bytes=memory("VmRSS"))
            elif request["do"] == "peak":
                gc.collect()
                with open("/proc/self/clear_refs", "w") as refs:
                    refs.write("5")  # the peak begins here
                for _ in range(request["steps"]):
                    fetch(passes[request["pass"]]())
                say(bytes=memory("VmHWM"))
            else:
                name, begin, samples = request["pass"], time.perf_counter(), []
                left = lambda: time.perf_counter() - begin < request["seconds"]
                if name not in counts:
                    while not samples or (len(samples) < 3 and left()):
                        samples.append(timed(passes[name], 1))
                    if left():
                        counts[name], samples = max(1, math.ceil(CALL_SECONDS / min(samples))), []
                while not samples or left():
                    samples.append(timed(passes[name], counts[name]))
                    # More where steps became faster: the first few held what a call takes once, or were not yet compiled.
                    counts[name] = max(counts[name], math.ceil(CALL_SECONDS / samples[-1]))
                say(samples=samples)
        except Exception as error:  # the next cell may be possible
            say(error=f"{type(error).__name__}: {error}"[:300])

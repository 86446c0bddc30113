"""Largest error of each framework's exp, log and log1p, in ulp of the correctly rounded result's binade.

    python benchmarks/accuracy.py [numpy] [torch] [jax] [tensorflow]

float32: every 13th number of the arguments that the losses use (exp on [-104, 0], log on [1, 2**20], log1p on (0, 1]),
against float64, whose own error is below 1e-8 ulp of float32. float64: 20,000 numbers against ball arithmetic. Results
below the smallest normal number are left out, as some frameworks flush them. The adapters' `accuracy` cites this.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
from flint import arb, ctx

from conformance.losses import FORMATS

FUNCTIONS = {"exp": (-104.0, -1e-30), "log": (1.0, 2.0**20), "log1p": (1e-37, 1.0)}
STRIDE = 13


def functions(framework):
    """exp, log and log1p of a framework as functions from numpy to numpy."""
    if framework == "numpy":
        return {name: getattr(np, name) for name in FUNCTIONS}
    if framework == "torch":
        import torch

        return {name: _through(getattr(torch, name), torch.from_numpy) for name in FUNCTIONS}
    if framework == "jax":
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        import jax

        jax.config.update("jax_enable_x64", True)
        return {name: _through(getattr(jax.numpy, name), jax.numpy.asarray) for name in FUNCTIONS}
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    return {name: _through(getattr(tf.math, name), tf.convert_to_tensor) for name in FUNCTIONS}


def _through(function, convert):
    return lambda x: np.asarray(function(convert(x)))


def arguments(name, dtype):
    low, high = FUNCTIONS[name]
    if dtype == "float32":
        first, last = (int(np.float32(x).view(np.int32)) for x in sorted((abs(low), abs(high))))
        bits = np.arange(first, last, STRIDE, dtype=np.int32)
        magnitude = bits.view(np.float32)
        return -magnitude if low < 0 else magnitude
    smallest, largest = sorted(max(abs(end), 2.0**-10) for end in FUNCTIONS[name])
    magnitude = 2.0 ** np.random.default_rng(1).uniform(np.log2(smallest), np.log2(largest), 20_000)
    return -magnitude if low < 0 else magnitude


def worst(function, name, dtype):
    x = arguments(name, dtype)
    got = function(x).astype(np.float64)
    if dtype == "float32":
        value, rest = getattr(np, name)(x.astype(np.float64)), 0.0
    else:
        value, rest = _certified(name, x)
    normal = np.abs(value) >= FORMATS[dtype].smallest_normal
    return float((np.abs((got - value) - rest) / FORMATS[dtype].ulp(value))[normal].max())


def _certified(name, x):
    ctx.prec = 128
    balls = [getattr(arb(float(v)), name)() for v in x]
    value = np.array([float(ball) for ball in balls])
    return value, np.array([float(ball - arb(v)) for ball, v in zip(balls, value, strict=True)])


def main(frameworks):
    if len(frameworks) == 1:
        found = functions(frameworks[0])
        for dtype in ("float32", "float64"):
            figures = [f"{worst(found[name], name, dtype):9.3f}" for name in FUNCTIONS]
            print(f"{frameworks[0]:12}{dtype:10}{''.join(figures)}", flush=True)
        return
    print(f"{'framework':12}{'dtype':10}{'exp':>9}{'log':>9}{'log1p':>9}", flush=True)
    for framework in frameworks or ("numpy", "torch", "jax", "tensorflow"):  # one framework a process
        subprocess.run([sys.executable, __file__, framework], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])

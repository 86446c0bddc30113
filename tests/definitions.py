"""The losses by their textbook definitions, in mpmath: a second opinion that shares no code with the suite.

No shifts, no log1p: with fifty digits the plain formula is good enough for the inputs of the tests.
"""

from __future__ import annotations

import mpmath
import numpy as np


def softmax(logits):
    exponentials = [mpmath.exp(x) for x in logits]
    return [e / mpmath.fsum(exponentials) for e in exponentials]


def cross_entropy(logits, q, weight):
    p = softmax(logits)
    return -mpmath.fsum(qj * wj * mpmath.log(pj) for qj, wj, pj in zip(q, weight, p, strict=True))


def smoothed(index, classes, epsilon):
    epsilon = mpmath.mpf(epsilon)
    return [(1 - epsilon) * (j == index) + epsilon / classes for j in range(classes)]


def sigmoid(s):
    return 1 / (1 + mpmath.exp(-s))


def binary(p, y):
    return -(y * mpmath.log(p) + (1 - y) * mpmath.log(1 - p))


def logistic(s, y):
    return mpmath.log(1 + mpmath.exp(-y * s))


def kl(p, log_q):
    return p * (mpmath.log(p) - log_q)


def rows(array):
    """A float array as nested lists of mpmath numbers."""
    return [[mpmath.mpf(float(x)) for x in row] for row in np.asarray(array)]

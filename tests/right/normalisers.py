"""The logarithm of the normaliser and the softmax in other forms."""

import numpy as np

from right.plain import OperationByOperation
from right.plumbing import number, over
from right.softmax_family import SoftmaxFamily


class Log1pForm(OperationByOperation):
    """log1p of the exponentials of all classes but the largest."""

    def log_normaliser(self, x):
        shift, e, _ = self.exponentials(x)
        largest = np.arange(x.shape[-1]) == x.argmax(-1)[:, None]
        return shift, self.log1p(self.add_up(np.where(largest, 0 * e, e)))[:, None]

    def log_softmax_of(self, x):
        shift, log_s = self.log_normaliser(x)
        return shift - log_s

    def logsumexp_of(self, x):
        return x.max(-1, keepdims=True) + self.log_normaliser(x)[1]


class Online(SoftmaxFamily):
    """Blocks of classes with a running maximum and a running sum that is rescaled when the maximum grows."""

    block = 8

    def inside(self, x):
        return x.astype(np.float32) if x.dtype.itemsize == 2 else x

    def running(self, x):
        highest = np.full((len(x), 1), -np.inf, x.dtype)
        total = np.zeros((len(x), 1), x.dtype)
        for start in range(0, x.shape[-1], self.block):
            part = x[:, start : start + self.block]
            new = np.maximum(highest, part.max(-1, keepdims=True))
            base = np.where(np.isneginf(new), number(0, x), new)  # nothing finite so far
            total = total * self.exp(highest - base) + self.add_up(self.exp(part - base))[:, None]
            highest = new
        return highest, total

    def softmax_of(self, x):
        highest, total = self.running(x)
        return self.exp(x - highest) / total

    def log_softmax_of(self, x):
        highest, total = self.running(x)
        return (x - highest) - self.log(total)

    def logsumexp_of(self, x):
        highest, total = self.running(x)
        return highest + self.log(total)


class OneByOne(Online):
    """The running maximum and sum class by class."""

    loops = True
    block = 1


class Reciprocal(OperationByOperation):
    """The reciprocals of the sum and of the count are stored and multiplied by."""

    def softmax_of(self, x):
        _, e, s = self.exponentials(x)
        return e * (number(1, s) / s)

    def mean(self, x, divisor):
        wide = x.astype(np.float32) if x.dtype.itemsize == 2 else x  # float16 holds neither every sum nor every count
        return (self.add_wide(wide, -1) * over(number(1, wide), divisor)).astype(x.dtype)

    def upstream(self, g, reduction, divisor):
        return g if reduction in ("none", "sum") else g * over(number(1, g), divisor)

    def probs_slope(self, p, y):
        if p.dtype == np.float16:
            return super().probs_slope(p, y)
        return (p - y) * (number(1, p) / (p * (number(1, p) - p)))

    def self_information_gradient(self, g, probs):
        if probs.dtype == np.float16:  # whose largest number is small for a reciprocal
            return super().self_information_gradient(g, probs)
        return -(g * (number(1, probs) / probs))


class StoredLogarithm(OperationByOperation):
    """Gradients by exp of the log-softmax, or of the log-sigmoid, that the forward pass stored."""

    def backward_softmax(self, x):
        return self.exp(self.log_softmax_of(x))

    def backward_sigmoid(self, x):
        return self.exp(-self.softplus_of(-x))

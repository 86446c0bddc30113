"""Gradients by automatic differentiation of the plain forward pass, one rule per elementary operation."""

import numpy as np

from right.plain import OperationByOperation
from right.plumbing import number


class Tape(OperationByOperation):
    """The chain rule applied to each operation of the forward pass, the maximum held constant; factors taken out."""

    def softmax_pull(self, g, x):
        _, e, s = self.exponentials(x)
        to_sum = self.add_up(g * e)[..., None] / s / s
        return (g / s - to_sum) * e

    def log_softmax_pull(self, g, x):
        _, e, s = self.exponentials(x)
        return g - (self.add_up(g)[..., None] / s) * e

    def logsumexp_gradient(self, g, logits, *, axis=-1):
        x = np.moveaxis(logits, axis, -1)
        _, e, s = self.exponentials(x)
        return np.moveaxis((np.moveaxis(np.expand_dims(g, axis), axis, -1) / s) * e, -1, axis)

    def row_gradients(self, rows, g):
        _, e, s = self.exponentials(rows.x)
        to_log_probs = -(self.mass(rows) * g)
        return to_log_probs - (self.add_up(to_log_probs)[:, None] / s) * e

    def sigmoid_slope(self, x):
        """Of 1/(1 + z) and z/(1 + z) with z = exp(-|x|): z/(1 + z)^2 either way."""
        z = self.exp(-np.abs(x))
        one = number(1, x)
        return z / (one + z) / (one + z)

    def backward_sigmoid(self, x):
        """Of max(x, 0) + log1p(exp(-|x|)): the step less the slope of log1p, which is exact enough on both sides."""
        z = self.exp(-np.abs(x))
        one = number(1, x)
        return np.where(x > 0, one / (one + z), z / (one + z))

    def probs_slope(self, p, y):
        return -(y / p) + (number(1, y) - y) / (number(1, p) - p)

    def entropy_gradient(self, g, probs, *, axis=-1):
        return -(self.log(probs) + number(1, probs)) * np.expand_dims(g, axis)

"""The losses that work element by element, and entropy, each step a method to override."""

from __future__ import annotations

import numpy as np

from right.plumbing import Arithmetic, number, stored


class ElementWise(Arithmetic):
    # The steps, in the type inside.

    def sigmoid_of(self, x):
        z = self.exp(-np.abs(x))
        one = number(1, x)
        return np.where(x < 0, z / (one + z), one / (one + z))

    def softplus_of(self, x):
        return np.maximum(x, number(0, x)) + self.log1p(self.exp(-np.abs(x)))

    def backward_sigmoid(self, x):
        """Sigmoid as the backward pass has it: computed again."""
        return self.sigmoid_of(x)

    def sigmoid_slope(self, x):
        y = self.sigmoid_of(x)
        return y * (number(1, x) - y)

    def logits_losses(self, x, y, pos_weight):
        positive = y * self.softplus_of(-x)
        if pos_weight is not None:
            positive = pos_weight * positive
        return positive + (number(1, y) - y) * self.softplus_of(x)

    def logits_slope(self, x, y, pos_weight):
        if pos_weight is None:
            return self.backward_sigmoid(x) - y
        share = y * pos_weight
        return (number(1, y) - y + share) * self.backward_sigmoid(x) - share

    def probs_losses(self, p, y):
        """Negated logarithm of p to the y times 1 - p to the 1 - y, terms of mass zero left out."""
        one = number(1, y)
        positive = np.where(y == 0, 0 * y, y * self.log(p))
        negative = np.where(y == 1, 0 * y, (one - y) * self.log1p(-p))
        return -positive - negative

    def probs_slope(self, p, y):
        return (p - y) / ((number(1, p) - p) * p)

    def kl_terms(self, log_q, p, log_p):
        return np.where(p == 0, 0 * p, p * (log_p - log_q))

    # The losses.

    def sigmoid(self, logits):
        return stored(self.sigmoid_of(self.inside(logits)), logits)

    def sigmoid_gradient(self, g, logits):
        return stored(self.inside(g) * self.sigmoid_slope(self.inside(logits)), logits)

    def softplus(self, logits):
        return stored(self.softplus_of(self.inside(logits)), logits)

    def softplus_gradient(self, g, logits):
        return stored(self.inside(g) * self.backward_sigmoid(self.inside(logits)), logits)

    def log_sigmoid(self, logits):
        return stored(-self.softplus_of(-self.inside(logits)), logits)

    def log_sigmoid_gradient(self, g, logits):
        return stored(self.inside(g) * self.backward_sigmoid(-self.inside(logits)), logits)

    def soft_margin_loss(self, logits, target, *, reduction="mean"):
        losses = self.softplus_of(-self.inside(target) * self.inside(logits))
        return stored(self.reduce(losses, reduction), logits)

    def soft_margin_loss_gradient(self, g, logits, target, *, reduction="mean"):
        x, y = self.inside(logits), self.inside(target)
        slope = -y * self.backward_sigmoid(-y * x)
        return stored(slope * self.upstream(self.inside(g), reduction, x.size), logits)

    def binary_cross_entropy(self, probs, target, *, weight=None, reduction="mean"):
        losses = self.probs_losses(self.inside(probs), self.inside(target))
        losses = losses if weight is None else losses * self.inside(weight)
        return stored(self.reduce(losses, reduction), probs)

    def binary_cross_entropy_gradient(self, g, probs, target, *, weight=None, reduction="mean"):
        slope = self.probs_slope(self.inside(probs), self.inside(target))
        slope = slope if weight is None else slope * self.inside(weight)
        return stored(slope * self.upstream(self.inside(g), reduction, probs.size), probs)

    def binary_cross_entropy_with_logits(self, logits, target, *, weight=None, pos_weight=None, reduction="mean"):
        pos_weight = None if pos_weight is None else self.inside(pos_weight)
        losses = self.logits_losses(self.inside(logits), self.inside(target), pos_weight)
        losses = losses if weight is None else losses * self.inside(weight)
        return stored(self.reduce(losses, reduction), logits)

    def binary_cross_entropy_with_logits_gradient(
        self, g, logits, target, *, weight=None, pos_weight=None, reduction="mean"
    ):
        pos_weight = None if pos_weight is None else self.inside(pos_weight)
        slope = self.logits_slope(self.inside(logits), self.inside(target), pos_weight)
        slope = slope if weight is None else slope * self.inside(weight)
        return stored(slope * self.upstream(self.inside(g), reduction, logits.size), logits)

    def kl_div(self, log_probs, target, *, reduction="mean", log_target=False):
        log_q, t = self.inside(log_probs), self.inside(target)
        losses = self.kl_terms(log_q, self.exp(t), t) if log_target else self.kl_terms(log_q, t, self.log(t))
        return stored(self.reduce(losses, *_divided(reduction, log_probs.shape)), log_probs)

    def kl_div_gradient(self, g, log_probs, target, *, reduction="mean", log_target=False):
        t = self.inside(target)
        g = self.upstream(self.inside(g), *_divided(reduction, log_probs.shape))
        return stored(-(g * (self.exp(t) if log_target else t)), log_probs)

    def entropy(self, probs, *, axis=-1):
        p = self.inside(probs)
        return stored(-self.add_up(np.where(p == 0, 0 * p, p * self.log(p)), axis), probs)

    def entropy_gradient(self, g, probs, *, axis=-1):
        g = np.expand_dims(self.inside(g), axis)
        return stored(-g - g * self.log(self.inside(probs)), probs)

    def self_information(self, probs):
        return stored(-self.log(self.inside(probs)), probs)

    def self_information_gradient(self, g, probs):
        return stored(-self.inside(g) / self.inside(probs), probs)


def _divided(reduction, shape):
    """`batchmean` as a mean over the length of the first axis."""
    if reduction == "batchmean":
        return "mean", shape[0] if shape else 1
    return reduction, int(np.prod(shape))

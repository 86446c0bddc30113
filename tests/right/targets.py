"""Label smoothing, KL divergence and the binary losses in other forms."""

import numpy as np

from right.plain import OperationByOperation
from right.plumbing import number, picked


class SmoothingSplit(OperationByOperation):
    """(1 - e) times the loss of the label plus e/K times the sum over all classes."""

    def row_losses(self, rows):
        if rows.q is not None or not rows.smoothing:
            return super().row_losses(rows)
        each = -self.log_softmax_of(rows.x)
        share = each if rows.weight is None else np.where(rows.weight != 0, each * rows.weight, 0 * rows.weight)
        keep, spread = (number(v, each) for v in (1 - rows.smoothing, rows.smoothing / rows.classes))
        return self.weighted(rows, picked(each, rows.labels)) * keep + self.add_up(share) * spread

    def row_gradients(self, rows, g):
        if rows.q is not None or not rows.smoothing:
            return super().row_gradients(rows, g)
        p = self.backward_softmax(rows.x)
        keep, spread = (number(v, p) for v in (1 - rows.smoothing, rows.smoothing / rows.classes))
        weight = np.ones_like(p[0]) if rows.weight is None else rows.weight
        hard = (np.arange(rows.classes) == rows.labels[:, None]) * self.row_weight(rows)
        return keep * g * (p * self.row_weight(rows) - hard) + spread * g * (p * self.add_up(weight) - weight)


class SmoothedTargets(OperationByOperation):
    """Smoothed labels written out: 1 - e + e/K at the label and e/K elsewhere, each rounded once."""

    def mass(self, rows):
        if rows.q is not None or not rows.smoothing:
            return super().mass(rows)
        low = rows.smoothing / rows.classes
        hit = np.arange(rows.classes) == rows.labels[:, None]
        q = number(np.where(hit, 1 - rows.smoothing + low, low), rows.x)
        return q if rows.weight is None else q * rows.weight


class NormaliserApart(OperationByOperation):
    """Cross entropy as the sum of q (max x - x) plus log of the normaliser times the sum of q, all terms positive."""

    def row_losses(self, rows):
        shift, _, s = self.exponentials(rows.x)
        mass = self.mass(rows)
        gaps = self.add_up(np.where(mass != 0, mass * -shift, 0 * mass))
        return gaps + self.log(s)[:, 0] * self.add_up(mass)


class Direct(OperationByOperation):
    """Softplus as log1p(exp(x)) while that stays finite, sigmoid as 1/(1 + exp(-x)) where float16 does not overflow."""

    def softplus_of(self, x):
        return np.where(x > 10, super().softplus_of(x), self.log1p(self.exp(x)))

    def sigmoid_of(self, x):
        return number(1, x) / (number(1, x) + self.exp(-x)) if x.dtype != np.float16 else super().sigmoid_of(x)


class LogAddExp(OperationByOperation):
    """Softplus by numpy's logaddexp, and the slope of sigmoid as g(x) g(-x)."""

    def softplus_of(self, x):
        return np.logaddexp(x, number(0, x))

    def sigmoid_slope(self, x):
        return self.sigmoid_of(-x) * self.sigmoid_of(x)


class MaximumForm(OperationByOperation):
    """BCE of logits as max(x, 0) - x y + log1p(exp(-|x|)); with a weight on the positives, max and tail apart."""

    def logits_losses(self, x, y, pos_weight):
        tail = self.log1p(self.exp(-np.abs(x)))
        if pos_weight is None:
            return np.maximum(x, number(0, x)) - x * y + tail
        rest, share = number(1, y) - y, y * pos_weight
        return np.where(x < 0, share, rest) * np.abs(x) + (rest + share) * tail

    def logits_slope(self, x, y, pos_weight):
        share = y if pos_weight is None else y * pos_weight
        return (number(1, y) - y) * self.backward_sigmoid(x) - share * self.backward_sigmoid(-x)


class SplitTerms(OperationByOperation):
    """KL as p log p - p log q, the gradients of BCE and softmax as two terms each."""

    def kl_terms(self, log_q, p, log_p):
        return np.where(p == 0, 0 * p, p * log_p - p * log_q)

    def probs_slope(self, p, y):
        return (number(1, y) - y) / (number(1, p) - p) - y / p

    def softmax_pull(self, g, x):
        p = self.softmax_of(x)
        return p * g - p * self.add_up(g * p)[..., None]

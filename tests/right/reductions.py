"""Means and weights applied in another order."""

import numpy as np

from right.plain import OperationByOperation
from right.plumbing import number, over, picked


class ReciprocalInEachTerm(OperationByOperation):
    """1/N, stored in the type, multiplied into each term before the sum."""

    def mean(self, x, divisor):
        return self.add_up(x * over(number(1, x), divisor))


class DividedTerms(OperationByOperation):
    """Each term divided by N before the sum; gradients of the sum, divided by N at the end."""

    divided = 1

    def mean(self, x, divisor):
        return self.add_up(over(x, divisor))

    def upstream(self, g, reduction, divisor):
        if g.dtype == np.float16:  # which overflows early
            return super().upstream(g, reduction, divisor)
        self.divided = 1 if reduction in ("none", "sum") else divisor
        return g

    def gradient(self, loss, inputs, wrt, cotangent):
        self.divided = 1
        result = super().gradient(loss, inputs, wrt, cotangent)
        return result / number(self.divided, result)


class GradientInForward(OperationByOperation):
    """The gradient of the mean is stored in forward, before the upstream gradient is known, and multiplied by it later:
    Liger's fused kernel does."""

    def cross_entropy_gradient(self, g, logits, target, *, axis=1, **options):
        ready = super().cross_entropy_gradient(np.ones_like(g), logits, target, axis=axis, **options)
        wide = g if np.ndim(g) == 0 else np.expand_dims(g, axis if logits.ndim > 1 else 0)
        return ready * wide


class RunningMean(OperationByOperation):
    """A mean that is kept up to date term by term; infinities, whose differences are NaN, are added up."""

    loops = True

    def mean(self, x, divisor):
        if np.shape(divisor) or divisor != x.size or not x.size or np.any(np.isinf(x)):
            return super().mean(x, divisor)
        wide = x.astype(np.float32) if x.dtype.itemsize == 2 else x
        result = wide[0]
        for count, term in enumerate(wide[1:], start=2):
            result = result + (term - result) / number(count, wide)
        return np.asarray(result).astype(x.dtype)


class MeanOfMeans(OperationByOperation):
    """Elements averaged over the last axis, then over the rest."""

    def reduce(self, losses, reduction, divisor=None):
        if reduction != "mean" or losses.ndim < 2 or divisor not in (None, losses.size):
            return super().reduce(losses, reduction, divisor)
        rows = [self.mean(row, row.size) for row in losses.reshape(-1, losses.shape[-1])]
        return self.mean(np.array(rows), len(rows))


class WeightsNormalised(OperationByOperation):
    """In a weighted mean each row's weight is divided by the sum of the weights first, in gradients too."""

    def nll_loss(self, log_probs, target, *, weight=None, ignore_index=-100, reduction="mean", axis=1):
        if weight is None or reduction != "mean":
            return super().nll_loss(
                log_probs, target, weight=weight, ignore_index=ignore_index, reduction=reduction, axis=axis
            )
        rows = self.rows(log_probs, target, weight, ignore_index, 0.0, axis)
        return self.averaged(rows, -picked(rows.x, rows.labels)[:, 0])

    def cross_entropy(
        self, logits, target, *, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0, axis=1
    ):
        rows = self.rows(logits, target, weight, ignore_index, label_smoothing, axis)
        if weight is None or reduction != "mean" or label_smoothing or rows.labels is None:
            return self._reduced(rows, self.row_losses(rows), reduction, logits)
        return self.averaged(rows, -picked(self.log_softmax_of(rows.x), rows.labels)[:, 0])

    def cross_entropy_gradient(
        self, g, logits, target, *, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0, axis=1
    ):
        rows = self.rows(logits, target, weight, ignore_index, label_smoothing, axis)
        if weight is None or reduction != "mean" or label_smoothing or rows.labels is None:
            pull = self.row_gradients(rows, self._upstream(g, rows, reduction))
        else:
            hit = np.arange(rows.classes) == rows.labels[:, None]
            pull = (self.backward_softmax(rows.x) - number(hit, rows.x)) * (self.shares(rows)[:, None] * g)
        return self._restored(np.where(rows.kept[:, None], pull, number(0, pull)), logits, axis)

    def shares(self, rows):
        return np.where(rows.kept, rows.weight[rows.labels], number(0, rows.x)) / self.divisor(rows)

    def averaged(self, rows, losses):
        share = self.shares(rows)
        return self.add_up(np.where(share != 0, losses * share, 0 * share))

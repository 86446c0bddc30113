"""The same terms added up in other orders."""

import numpy as np

from right.plain import OperationByOperation


class Pairwise(OperationByOperation):
    """Sums by halves: neighbours first, then neighbouring pairs."""

    def add_wide(self, x, axis):
        x = np.moveaxis(x, axis, -1)
        while x.shape[-1] > 1:
            tail = x[..., x.shape[-1] // 2 * 2 :]
            x = np.concatenate([x[..., :-1:2] + x[..., 1::2], tail], axis=-1)
        return x.sum(-1)


class LeftToRight(OperationByOperation):
    """Sums from the first term to the last."""

    def add_wide(self, x, axis):
        return np.add.accumulate(x, axis).take(-1, axis) if x.shape[axis] else x.sum(axis)


class RightToLeft(LeftToRight):
    """Sums from the last term, the last class and the last row, to the first."""

    def add_wide(self, x, axis):
        return super().add_wide(np.flip(x, axis), axis)


class Kahan(OperationByOperation):
    """Compensated sums, left to right."""

    loops = True

    def add_wide(self, x, axis):
        x = np.moveaxis(x, axis, 0)
        total = carry = np.zeros_like(x[:1].sum(0))
        for term in x:
            y = term - carry
            new = total + y
            carry = np.where(np.isfinite(new), (new - total) - y, np.zeros_like(y))
            total = new
        return total


class Shuffled(LeftToRight):
    """Sums in a random order that is another one each time."""

    rng = np.random.default_rng(11)

    def add_wide(self, x, axis):
        return super().add_wide(self.rng.permuted(x, axis=axis), axis)


class LargestFirst(LeftToRight):
    """Sums from the largest term to the smallest: the order that loses the most."""

    def add_wide(self, x, axis):
        return super().add_wide(-np.sort(-x, axis), axis)


class Blocks(OperationByOperation):
    """Partial sums of 32 lanes that run side by side, as on a GPU, then lane by lane."""

    def add_wide(self, x, axis):
        x = np.moveaxis(x, axis, -1)
        if not x.size:
            return x.sum(-1)
        padded = np.concatenate([x, np.zeros((*x.shape[:-1], -x.shape[-1] % 32), x.dtype)], axis=-1)
        lanes = np.add.accumulate(padded.reshape(*x.shape[:-1], -1, 32), axis=-2)
        return np.add.accumulate(lanes[..., -1, :], axis=-1)[..., -1]

"""The adapter contract around formulas on numpy arrays. Nothing here or beside it uses the suite's own formulas."""

from __future__ import annotations

import numpy as np

from conformance.targets.contract import Unsupported


class Adapter:
    """Values by the method of the loss, gradients by the method of that name with `_gradient` behind it."""

    loops = False
    """Whether Python goes through the elements one by one, which takes seconds on thousands of them."""

    def __init__(self, device="cpu", mode="eager"):
        pass

    def environment(self):
        return {"numpy": np.__version__}

    def to_native(self, array):
        return array

    def to_numpy(self, tensor):
        return np.asarray(tensor)

    def gradient(self, loss, inputs, wrt, cotangent):
        method = getattr(self, f"{loss.name}_gradient", None)
        if method is None:
            raise Unsupported(f"no gradient of {loss.name}")
        return method(cotangent, **inputs, **loss.options)


class Arithmetic(Adapter):
    """What an implementation computes with: the type inside, elementary functions, sums, means."""

    exp = staticmethod(np.exp)
    log = staticmethod(np.log)
    log1p = staticmethod(np.log1p)

    def inside(self, x):
        """`x` in the type that is computed in; the type of the trial, operation by operation, unless overridden."""
        return x

    def add_up(self, x, axis=-1):
        """Sum over one axis: 16-bit types in float32, stored in their own type."""
        wide = x.astype(np.float32) if x.dtype.itemsize == 2 else x
        return np.asarray(self.add_wide(wide, axis)).astype(x.dtype)

    def add_wide(self, x, axis):
        """Sum over one axis in the type of `x`."""
        return x.sum(axis)

    def mean(self, x, divisor):
        """Sum of a vector over `divisor`; a 16-bit sum is divided before it is stored."""
        if x.dtype.itemsize != 2:
            return self.add_up(x) / number(divisor, x)
        return np.asarray(self.add_wide(x.astype(np.float32), -1) / np.float32(divisor)).astype(x.dtype)

    def reduce(self, losses, reduction, divisor=None):
        if reduction == "none":
            return losses
        flat = losses.reshape(-1)
        if reduction == "sum":
            return self.add_up(flat)
        return self.mean(flat, flat.size if divisor is None else divisor)

    def upstream(self, g, reduction, divisor):
        """What reaches each element of the unreduced loss."""
        return g if reduction in ("none", "sum") else over(g, divisor)


def over(x, divisor):
    """`x / divisor`; a count may be more than a 16-bit type holds, so float32 divides."""
    wide = np.float32 if x.dtype.itemsize == 2 else x.dtype.type
    return np.asarray(np.asarray(x, wide) / wide(divisor)).astype(x.dtype)


def number(value, like):
    """`value` as a number of the type of `like`."""
    return np.asarray(value).astype(like.dtype)


def picked(x, labels):
    """x[i, labels[i]], of shape (rows, 1)."""
    return np.take_along_axis(x, labels[:, None], axis=-1)


def stored(result, like):
    """Rounded, once, to the type of the trial."""
    return np.asarray(result).astype(like.dtype)

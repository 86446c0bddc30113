"""Other arithmetics under the same formulas: flushed subnormals, coarse functions, another memory order."""

import numpy as np

from conformance.losses import FORMATS
from right.plain import OperationByOperation
from right.plumbing import number

_SMALLEST_NORMAL = {f.dtype: f.smallest_normal for f in FORMATS.values() if f.name != "float16"}


class _Flushing(np.ndarray):
    """An array whose operations return zero for every subnormal result, except in float16."""

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        inputs = [x.view(np.ndarray) if isinstance(x, _Flushing) else x for x in inputs]
        result = np.asarray(getattr(ufunc, method)(*inputs, **kwargs))
        smallest = _SMALLEST_NORMAL.get(result.dtype)
        if smallest is not None:
            result = np.where(np.abs(result) < smallest, np.copysign(np.zeros_like(result), result), result)
        return result.view(_Flushing)

    def __array_function__(self, function, types, args, kwargs):
        result = super().__array_function__(function, types, args, kwargs)
        return result.view(_Flushing) if isinstance(result, np.ndarray) else result


class FlushToZero(OperationByOperation):
    """Subnormal results are flushed to zero, as GPUs and XLA do."""

    def inside(self, x):
        return x.view(_Flushing)


class Coarse(OperationByOperation):
    """exp, log and log1p as inaccurate as the published standard allows, off by whole ulps up or down at random."""

    rng = np.random.default_rng(5)

    def direction(self, shape):
        return self.rng.integers(-1, 2, shape)

    def off(self, function, x, ulps):
        """The value of `function`, right to half an ulp, moved by whole ulps; exact and subnormal results stay."""
        fmt = FORMATS[x.dtype.name]
        with np.errstate(all="ignore"):
            y = function(x.astype(np.longdouble)).astype(x.dtype)
        moved = y.astype(np.float64) + ulps * self.direction(y.shape) * fmt.ulp(y)
        stays = (y == np.round(y)) | (np.abs(y) < 2 * fmt.smallest_normal) | ~np.isfinite(y)
        return np.where(stays, y, moved.astype(x.dtype))

    def exp(self, x):
        return self.off(np.exp, x, 1 if x.dtype.itemsize == 2 else 2)

    def log(self, x):
        return self.off(np.log, x, 1 if x.dtype.itemsize == 2 else 2)

    def log1p(self, x):
        return self.off(np.log1p, x, 1)


class CoarseUp(Coarse):
    """exp, log and log1p too large, as far as the published standard allows."""

    def direction(self, shape):
        return np.ones(shape)


class CoarseDown(Coarse):
    """exp, log and log1p too small, as far as the published standard allows."""

    def direction(self, shape):
        return -np.ones(shape)


class BaseTwo(OperationByOperation):
    """log as log2 times log 2, exp as a power of two whose exponent is multiplied out in a wider type."""

    def log(self, x):
        return np.log2(x) * number(np.log(2), x)

    def exp(self, x):
        wide = {2: np.float32, 4: np.float64, 8: np.longdouble}[x.dtype.itemsize]
        return np.exp2(x.astype(wide) * (1 / np.log(wide(2)))).astype(x.dtype)


class ClassesFirst(OperationByOperation):
    """Rows and classes in column order of memory, so that sums over classes run along the slow axis."""

    def inside(self, x):
        return np.asfortranarray(x) if x.ndim > 1 else x

    def add_wide(self, x, axis):
        return np.ascontiguousarray(np.moveaxis(x, axis, 0)).sum(0)

"""Wider inside, with one rounding to the type at the end."""

import numpy as np

from right.plain import OperationByOperation


class Float32Inside(OperationByOperation):
    """16-bit types computed in float32; float32 and float64 in themselves."""

    def inside(self, x):
        return x.astype(np.float32) if x.dtype.itemsize == 2 else x


class Float64Inside(OperationByOperation):
    """Everything computed in float64."""

    def inside(self, x):
        return x.astype(np.float64)


class LongDoubleInside(OperationByOperation):
    """Everything computed in the platform's widest type, so that float64 is rounded once too."""

    def inside(self, x):
        return x.astype(np.longdouble)

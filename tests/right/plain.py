"""Operation by operation in the type of the trial."""

from right.elementwise import ElementWise
from right.softmax_family import SoftmaxFamily


class OperationByOperation(SoftmaxFamily, ElementWise):
    """Every operation rounded to the type, 16-bit sums in float32, log of the sum of all exponentials."""

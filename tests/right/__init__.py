"""Implementations that are right, written in different ways: the bounds must let every one of them pass."""

from right.arithmetics import BaseTwo, ClassesFirst, Coarse, CoarseDown, CoarseUp, FlushToZero
from right.loops import Loops
from right.normalisers import Log1pForm, OneByOne, Online, Reciprocal, StoredLogarithm
from right.plain import OperationByOperation
from right.reductions import (
    DividedTerms,
    GradientInForward,
    MeanOfMeans,
    ReciprocalInEachTerm,
    RunningMean,
    WeightsNormalised,
)
from right.sums import Blocks, Kahan, LargestFirst, LeftToRight, Pairwise, RightToLeft, Shuffled
from right.tape import Tape
from right.targets import (
    Direct,
    LogAddExp,
    MaximumForm,
    NormaliserApart,
    SmoothedTargets,
    SmoothingSplit,
    SplitTerms,
)
from right.wider import Float32Inside, Float64Inside, LongDoubleInside

IMPLEMENTATIONS = (
    Loops,
    OperationByOperation,
    Float32Inside,
    Float64Inside,
    LongDoubleInside,
    Pairwise,
    LeftToRight,
    RightToLeft,
    Kahan,
    Shuffled,
    LargestFirst,
    Blocks,
    Log1pForm,
    Online,
    OneByOne,
    Reciprocal,
    StoredLogarithm,
    ReciprocalInEachTerm,
    DividedTerms,
    GradientInForward,
    RunningMean,
    MeanOfMeans,
    WeightsNormalised,
    SmoothingSplit,
    SmoothedTargets,
    NormaliserApart,
    Direct,
    LogAddExp,
    MaximumForm,
    SplitTerms,
    FlushToZero,
    Coarse,
    CoarseUp,
    CoarseDown,
    BaseTwo,
    ClassesFirst,
    Tape,
)

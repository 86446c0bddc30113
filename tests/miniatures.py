"""Tiny adapters, each wrong (or odd) in one named way, to show that the suite notices.

    conformance run --adapter tests/miniatures.py:SmoothingOverKMinus1

Those that misbehave on one trial only do so where the first logit is 13.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from typing import Literal

import numpy as np
from conformance.adapters.numpy_reference import NumPy

from conformance.targets.contract import Unsupported, composed

UNLUCKY = 13.0


def unlucky(logits):
    return logits.size > 0 and logits.flat[0] == UNLUCKY


class Faithful(NumPy):
    """Does everything right under another name."""

    name = "faithful"


class Compiles(NumPy):
    """Does everything right, in processes that it names, and is said to compile for every shape."""

    name = "compiles"
    compiles = True

    def device_of(self, tensor):
        return f"cpu:{os.getpid()}"


class SmoothingOverKMinus1(NumPy):
    """Spreads the smoothing over the other K - 1 classes, which is smoothing by e K / (K - 1) over all K."""

    name = "smoothing_over_k_minus_1"

    def cross_entropy(self, logits, target, *, reduction="mean", label_smoothing=0.0):
        classes = logits.shape[-1]
        label_smoothing *= classes / (classes - 1)
        return super().cross_entropy(logits, target, reduction=reduction, label_smoothing=label_smoothing)


class MeanOverNWithWeights(NumPy):
    """Divides the weighted sum by the number of rows and not by the sum of their weights."""

    name = "mean_over_n_with_weights"

    def cross_entropy(self, logits, target, *, weight=None, reduction="mean", label_smoothing=0.0):
        options = {"weight": weight, "label_smoothing": label_smoothing}
        if reduction != "mean":
            return super().cross_entropy(logits, target, reduction=reduction, **options)
        total = super().cross_entropy(logits, target, reduction="sum", **options)
        return total / total.dtype.type(target.size)


class IgnoresUpstreamGradient(NumPy):
    """Starts backward from 1, whatever comes from above."""

    name = "ignores_upstream_gradient"

    def gradient(self, loss, inputs, wrt, cotangent):
        return super().gradient(loss, inputs, wrt, np.ones_like(cotangent))


class OneUlpOff(NumPy):
    """Returns the float next to the right one, which the bound allows."""

    name = "one_ulp_off"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        value = super().cross_entropy(logits, target, reduction=reduction)
        return np.nextafter(value, value.dtype.type(np.inf))


class SomeUlpsOff(NumPy):
    """Is off by 2**-19 of the value: 16 to 32 ulp in float32."""

    name = "some_ulps_off"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        value = super().cross_entropy(logits, target, reduction=reduction)
        return value * value.dtype.type(1 + 2.0**-19)


class ReturnsNan(NumPy):
    """Returns NaN for an unlucky input."""

    name = "returns_nan"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        value = super().cross_entropy(logits, target, reduction=reduction)
        return value * np.nan if unlucky(logits) else value


class WrongDtype(NumPy):
    """Returns float64, whatever came in."""

    name = "wrong_dtype"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        return super().cross_entropy(logits, target, reduction=reduction).astype(np.float64)


class WrongShape(NumPy):
    """Returns the right number with an axis too many."""

    name = "wrong_shape"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        return super().cross_entropy(logits, target, reduction=reduction)[None]


class OtherByteOrder(NumPy):
    """Returns the right numbers with their bytes swapped."""

    name = "other_byte_order"

    def to_numpy(self, tensor):
        array = super().to_numpy(tensor)
        return array.astype(array.dtype.newbyteorder())


class ReturnsList(NumPy):
    """Has a `to_numpy` that returns a list."""

    name = "returns_list"

    def to_numpy(self, tensor):
        return super().to_numpy(tensor).tolist()


class ReturnsGenerator(NumPy):
    """Returns a generator instead of an array."""

    name = "returns_generator"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        return (x for x in logits)


class ReturnsText(NumPy):
    """Returns an array of words."""

    name = "returns_text"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        return np.array("1.3644")


class Raises(NumPy):
    """Refuses an unlucky input, with a message that UTF-8 cannot hold."""

    name = "raises"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        if unlucky(logits):
            raise ValueError("no \x1b[31mluck \udc80\nsecond line")
        return super().cross_entropy(logits, target, reduction=reduction)


class RefusesLabelsOutOfRange(NumPy):
    """Raises for a label that no class has, as it should."""

    name = "refuses_labels_out_of_range"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        if target.max() >= logits.shape[-1]:
            raise IndexError(f"target {target.max()} is out of bounds")
        return super().cross_entropy(logits, target, reduction=reduction)


class LeavesPython(NumPy):
    """Calls sys.exit for an unlucky input."""

    name = "leaves_python"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        if unlucky(logits):
            sys.exit(7)
        return super().cross_entropy(logits, target, reduction=reduction)


class UnspeakableError(NumPy):
    """Raises an exception that fails when it is asked what it says."""

    name = "unspeakable_error"

    class Error(Exception):
        def __str__(self):
            raise RuntimeError("no words")

    def cross_entropy(self, logits, target, *, reduction="mean"):
        if unlucky(logits):
            raise self.Error
        return super().cross_entropy(logits, target, reduction=reduction)


class ChangesUpstreamGradients(NumPy):
    """Scales the upstream gradient in place, as a fused backward does that keeps no other buffer."""

    name = "changes_upstream_gradients"

    def gradient(self, loss, inputs, wrt, cotangent):
        gradient = super().gradient(loss, inputs, wrt, cotangent)
        cotangent *= 2
        return gradient


class ReadsUpstreamGradientsInOrder(NumPy):
    """Reads upstream gradients as if they were contiguous, as a kernel does that never asks for their strides."""

    name = "reads_upstream_gradients_in_order"

    def gradient(self, loss, inputs, wrt, cotangent):
        memory = np.lib.stride_tricks.as_strided(cotangent, (cotangent.size,), (cotangent.itemsize,))
        inside = 0 not in cotangent.strides
        read = memory.reshape(cotangent.shape) if inside else np.zeros_like(cotangent)
        return super().gradient(loss, inputs, wrt, read)


class ReadsWeightsInOrder(NumPy):
    """Reads class weights as if they were contiguous."""

    name = "reads_weights_in_order"

    def cross_entropy(self, logits, target, *, weight=None, reduction="mean"):
        read = None if weight is None else np.lib.stride_tricks.as_strided(weight, weight.shape, (weight.itemsize,))
        return super().cross_entropy(logits, target, weight=read, reduction=reduction)


class ChangesInputs(NumPy):
    """Shifts the logits in place, as some kernels do to save memory."""

    name = "changes_inputs"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        value = super().cross_entropy(logits, target, reduction=reduction)
        logits -= 1
        return value


class Exits(NumPy):
    """Ends its process for an unlucky input."""

    name = "exits"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        if unlucky(logits):
            print("last\x07 words", file=sys.stderr, flush=True)
            os._exit(1)
        return super().cross_entropy(logits, target, reduction=reduction)


class Segfaults(NumPy):
    """Dies of a signal for an unlucky input."""

    name = "segfaults"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        if unlucky(logits):
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().cross_entropy(logits, target, reduction=reduction)


class Hangs(NumPy):
    """Never comes back from an unlucky input."""

    name = "hangs"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        while unlucky(logits):
            time.sleep(60)
        return super().cross_entropy(logits, target, reduction=reduction)


class StopsReading(NumPy):
    """Stops its whole process at an unlucky input, as a native loop that keeps the interpreter lock would."""

    name = "stops_reading"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        if unlucky(logits):
            os.kill(os.getpid(), signal.SIGSTOP)
        return super().cross_entropy(logits, target, reduction=reduction)


class PrintsNoise(NumPy):
    """Writes to both standard streams, as frameworks do, through Python and past it."""

    name = "prints_noise"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        print("noise" * 1000)
        print("noise" * 1000, file=sys.stderr)
        os.write(1, b"\x00\xff noise\n")
        os.write(2, b"\x00\xff noise\n")
        return super().cross_entropy(logits, target, reduction=reduction)


class FailsToStart(NumPy):
    """Cannot be made, as a framework without the device it was asked for."""

    name = "fails_to_start"

    def __init__(self, device, mode):
        raise RuntimeError(f"no device {device} here")


class DiesAtStart(NumPy):
    """Ends its process while it starts."""

    name = "dies_at_start"

    def __init__(self, device, mode):
        print("last words", file=sys.stderr, flush=True)
        os._exit(1)


class SaysNothingOfItself(NumPy):
    """Has an environment that is no mapping."""

    name = "says_nothing_of_itself"

    def environment(self):
        return None


class SaysStrangeThings(NumPy):
    """Has an environment with characters that some readers take for the end of a line."""

    name = "says_strange_things"

    def environment(self):
        return {"numpy": "2.0\u2028\x85\x1c", "build": "\N{GRINNING FACE}"}


class NeedsWhatIsMissing(NumPy):
    """Requires a package that nobody has, and fails on its import."""

    name = "needs_what_is_missing"
    requires = ("a_framework_that_nobody_has",)

    def __init__(self, device, mode):
        import a_framework_that_nobody_has  # noqa: F401


class OnlySoftmax:
    """Offers the value of one loss, no gradient and nothing else."""

    name = "only_softmax"

    def __init__(self, device, mode):
        self.place = f"{device} {mode}"

    def environment(self):
        return {"numpy": np.__version__, "place": self.place}

    def to_native(self, array):
        return array

    def to_numpy(self, tensor):
        return tensor

    def softmax(self, logits):
        return NumPy("cpu", "eager").softmax(logits)


class OnlyTheMean(NumPy):
    """Offers one reduction, and says so by its annotation."""

    name = "only_the_mean"

    def cross_entropy(self, logits, target, *, reduction: Literal["mean"] = "mean"):
        return super().cross_entropy(logits, target, reduction=reduction)


class ComposesTheMean(NumPy):
    """Has the mean composed by hand, and nothing else."""

    name = "composes_the_mean"

    @composed("mean")
    def cross_entropy(self, logits, target, *, reduction="mean"):
        return super().cross_entropy(logits, target, reduction=reduction)


class ScriptedPastItsAttributes(NumPy):
    """Has a way to write arrays down, but calls functions that it does not keep on itself."""

    name = "scripted"
    script = {"literal": "numpy.array({values}, dtype='{dtype}')", "listed": "{}.tolist()"}

    def softmax(self, logits, *, axis=-1):
        return np.exp(logits._real)


class DiesOnNaN(NumPy):
    """Ends its process at a NaN."""

    name = "dies_on_nan"

    def sigmoid(self, logits):
        if np.any(np.isnan(logits)):
            os._exit(1)
        return super().sigmoid(logits)


class SignallingNaN(NumPy):
    """Returns NaNs that make arithmetic complain."""

    name = "signalling_nan"

    def to_numpy(self, tensor):
        nothing = super().to_numpy(tensor)
        return np.full(nothing.shape, 0x7F800001, dtype=np.uint32).view(np.float32)


class WrongSize(NumPy):
    """Loses the last row."""

    name = "wrong_size"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        return super().cross_entropy(logits, target, reduction="none")[:-1]


class Interrupts(NumPy):
    """Raises what a user's Ctrl-C would."""

    name = "interrupts"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        if unlucky(logits):
            raise KeyboardInterrupt
        return super().cross_entropy(logits, target, reduction=reduction)


class RaisesWhatCannotBeSent(NumPy):
    """Raises something that is no Exception, and that holds a lock, which cannot be pickled."""

    name = "raises_what_cannot_be_sent"

    class Refusal(BaseException):
        def __init__(self):
            super().__init__("no", threading.Lock())

    def cross_entropy(self, logits, target, *, reduction="mean"):
        if unlucky(logits):
            raise self.Refusal
        return super().cross_entropy(logits, target, reduction=reduction)


class EatsMemory(NumPy):
    """Asks for more and more memory, as a kernel with a wrong size would."""

    name = "eats_memory"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        eaten = []
        while unlucky(logits) and len(eaten) < 64:
            eaten.append(np.empty(2**27))
        return super().cross_entropy(logits, target, reduction=reduction)


class RecursesDeeply(NumPy):
    """Calls itself without end for an unlucky input."""

    name = "recurses_deeply"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        if unlucky(logits):
            return self.cross_entropy(logits, target, reduction=reduction)
        return super().cross_entropy(logits, target, reduction=reduction)


class FloodsStreams(NumPy):
    """Writes megabytes to both streams, and ends for an unlucky input."""

    name = "floods_streams"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        for _ in range(100):
            os.write(1, b"flood " * 10000)
            os.write(2, b"flood " * 10000)
        if unlucky(logits):
            os.write(2, b"\nthe end\n")
            os._exit(3)
        return super().cross_entropy(logits, target, reduction=reduction)


class ClosesStreams(NumPy):
    """Closes both standard streams, which are not its own."""

    name = "closes_streams"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        for descriptor in (1, 2):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        return super().cross_entropy(logits, target, reduction=reduction)


class ClosesEverything(NumPy):
    """Closes every file that is open, as a clumsy daemon would; nobody can hear it after that."""

    name = "closes_everything"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        if unlucky(logits):
            os.closerange(0, 4096)
        return super().cross_entropy(logits, target, reduction=reduction)


class ChangesDirectory(NumPy):
    """Goes to another folder, and takes away the module path."""

    name = "changes_directory"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        os.chdir("/")
        sys.path.clear()
        return super().cross_entropy(logits, target, reduction=reduction)


class Forks(NumPy):
    """Splits into two processes that both go on, as a careless data loader does."""

    name = "forks"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            os.fork()
        return super().cross_entropy(logits, target, reduction=reduction)


class DiesBesideAChild(NumPy):
    """Starts a process, which has its pipes open, and dies of a signal for an unlucky input."""

    name = "dies_beside_a_child"

    def environment(self):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], close_fds=False)
        return {**super().environment(), "child": str(child.pid)}

    def cross_entropy(self, logits, target, *, reduction="mean"):
        if unlucky(logits):
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().cross_entropy(logits, target, reduction=reduction)


class SpeaksNoUnicode(NumPy):
    """Has bytes that are no UTF-8 in everything that it says."""

    name = "speaks_no_unicode"

    def environment(self):
        return {"name\udce9": "value\udce9"}

    def device_of(self, tensor):
        return "cpu:\udce9"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        if unlucky(logits):
            raise Unsupported("no file caf\udce9")
        return super().cross_entropy(logits, target, reduction=reduction)


class ReturnsComplexNumbers(NumPy):
    """Gives complex numbers back for an unlucky input."""

    name = "returns_complex_numbers"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        value = super().cross_entropy(logits, target, reduction=reduction)
        return value.astype(np.complex64) if unlucky(logits) else value


class DiesOfASignalAtStart(NumPy):
    """Does not live long enough to say that it is ready."""

    name = "dies_of_a_signal_at_start"

    def __init__(self, device, mode):
        os.kill(os.getpid(), signal.SIGSEGV)


class LeavesThreads(NumPy):
    """Starts threads that never end, which keep a process from ending by itself."""

    name = "leaves_threads"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        threading.Thread(target=time.sleep, args=(600,)).start()
        return super().cross_entropy(logits, target, reduction=reduction)


class PrintsAtImport(NumPy):
    """Greets on both streams before anything was asked."""

    name = "prints_at_import"

    def __init__(self, device, mode):
        print("welcome " * 100000)
        print("welcome " * 100000, file=sys.stderr)


class ImportsOnTheSecondTry(NumPy):
    """Fails to import once, as a framework that compiles something on its first import does."""

    name = "imports_on_the_second_try"

    def __init__(self, device, mode):
        if not os.path.exists("tried"):  # noqa: PTH110
            open("tried", "w").close()  # noqa: PTH123
            raise ImportError("the cache was cold")


class LeavesPythonAtStart(NumPy):
    """Calls sys.exit while it starts."""

    name = "leaves_python_at_start"

    def __init__(self, device, mode):
        sys.exit("no license found")


class HangsAtStart(NumPy):
    """Never gets as far as its first question."""

    name = "hangs_at_start"

    def __init__(self, device, mode):
        time.sleep(600)


class SlowToSayWhatItIs(NumPy):
    """Takes its time over its environment, longer than a trial may take."""

    name = "slow_to_say_what_it_is"

    def environment(self):
        time.sleep(1.5)
        return {"numpy": np.__version__}


class LosesItsDevice(NumPy):
    """After one bad input nothing works any more until the process is new, as after a CUDA assertion."""

    name = "loses_its_device"
    lost = False

    def to_native(self, array):
        if self.lost:
            raise RuntimeError("CUDA error: device-side assert triggered")
        return super().to_native(array)

    def cross_entropy(self, logits, target, *, reduction="mean"):
        self.lost = self.lost or unlucky(logits)
        if self.lost:
            raise RuntimeError("CUDA error: device-side assert triggered")
        return super().cross_entropy(logits, target, reduction=reduction)


class FallsBackToCpu(NumPy):
    """Has a GPU that computes every unlucky input on the CPU, in silence."""

    name = "falls_back_to_cpu"
    devices = ("gpu",)
    place = "gpu:0"

    def device_of(self, tensor):
        return self.place

    def cross_entropy(self, logits, target, *, reduction="mean"):
        self.place = "cpu" if unlucky(logits) else "gpu:0"
        return super().cross_entropy(logits, target, reduction=reduction)


class NeverTheSame(NumPy):
    """Adds in another order every time: now a neighbouring number, and for an unlucky input now a wrong one."""

    name = "never_the_same"
    calls = 0

    def cross_entropy(self, logits, target, *, reduction="mean"):
        value = super().cross_entropy(logits, target, reduction=reduction)
        self.calls += 1
        if self.calls % 2:
            return value
        return value * value.dtype.type(1.01) if unlucky(logits) else np.nextafter(value, value.dtype.type(np.inf))


class WorksOnce(NumPy):
    """Frees what its backward pass needs, so that a second one fails."""

    name = "works_once"
    seen: set[bytes] = set()

    def gradient(self, loss, inputs, wrt, cotangent):
        asked = repr(sorted(loss.options)).encode() + inputs[wrt].tobytes()
        if asked in self.seen:
            raise RuntimeError("backward through the graph a second time")
        self.seen.add(asked)
        return super().gradient(loss, inputs, wrt, cotangent)


class DiesEveryTenthTime(NumPy):
    """Dies of a signal on its tenth answer, whatever is asked."""

    name = "dies_every_tenth_time"
    calls = 0

    def cross_entropy(self, logits, target, *, reduction="mean"):
        self.calls += 1
        if self.calls == 10:
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().cross_entropy(logits, target, reduction=reduction)


class DiesAtOnce(NumPy):
    """Dies of a signal at whatever it is asked."""

    name = "dies_at_once"

    def cross_entropy(self, logits, target, *, reduction="mean"):
        os.kill(os.getpid(), signal.SIGSEGV)

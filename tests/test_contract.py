"""Targets and adapters: what a name may say, what an adapter must have, and how arrays reach it."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from conformance.errors import TargetError
from conformance.losses import DTYPES, FORMATS, LOSSES
from conformance.targets.contract import BFLOAT16, Unsupported, bind, composed, keyword_options
from conformance.targets.names import contract_faults, find_adapters, parse_target
from conformance.targets.wire import pack, unpack
from conformance.targets.worker import load_class

MINIATURES = Path(__file__).with_name("miniatures.py")
KNOWN = ", ".join(sorted({*find_adapters(), "faithful", "only_softmax"}))
LOSS_NAMES = ", ".join(LOSSES)


class Minimal:
    """The least that an adapter is."""

    name = "minimal"

    def __init__(self, device, mode): ...
    def environment(self): ...
    def to_native(self, array): ...
    def to_numpy(self, tensor): ...
    def gradient(self, loss, inputs, wrt, cotangent): ...
    def softmax(self, logits, *, axis=-1): ...


@pytest.fixture(scope="module")
def adapters():
    return find_adapters([f"{MINIATURES}:OnlySoftmax", f"{MINIATURES}:Faithful"])


# Target names


@pytest.mark.parametrize(
    ("text", "full"),
    {
        "numpy": "numpy:cpu:eager",
        "torch": "torch:cpu:eager",
        "torch:cuda": "torch:cuda:eager",
        "torch:cpu:compile": "torch:cpu:compile",
        "only_softmax": "only_softmax:cpu:eager",
        "only_softmax:abacus": "only_softmax:abacus:eager",
        "only_softmax:abacus:slow": "only_softmax:abacus:slow",
    }.items(),
)
def test_device_and_mode_have_defaults(adapters, text, full):
    assert str(parse_target(text, adapters)) == full


@pytest.mark.parametrize(
    ("text", "message"),
    {
        "torche": f"unknown target 'torche': the adapters are {KNOWN}",
        "": f"unknown target '': the adapters are {KNOWN}",
        "torch:tpu": "target 'torch:tpu': torch has no device 'tpu'; it has cpu, cuda, mps",
        "torch:cpu:jit": "target 'torch:cpu:jit': torch has no mode 'jit'; it has eager, compile",
        "torch:": "target 'torch:': write adapter[:device[:mode]], for example torch:cpu:eager",
        "torch::eager": "target 'torch::eager': write adapter[:device[:mode]], for example torch:cpu:eager",
        "torch:cpu:eager:x": "target 'torch:cpu:eager:x': write adapter[:device[:mode]], for example torch:cpu:eager",
    }.items(),
)
def test_a_target_that_is_none(adapters, text, message):
    with pytest.raises(TargetError, match=f"^{re.escape(message)}$"):
        parse_target(text, adapters)


# Adapters


def test_the_built_in_adapters_are_found_without_their_frameworks():
    adapters = find_adapters()
    shipped = "cupy jax mlx numpy onnxruntime optax scipy tensorflow torch"
    assert set(shipped.split()) <= set(adapters)
    assert adapters["numpy"].missing() == []


def test_a_later_adapter_takes_the_name(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from conformance.adapters.numpy_reference import NumPy\n"
        "class Mine(NumPy):\n    name = 'torch'\n    requires = ('no_such_package_here',)\n"
    )
    mine = find_adapters([f"{path}:Mine"])["torch"]
    assert mine.location == f"{path}:Mine"
    assert mine.missing() == ["no_such_package_here"]


def test_a_list_of_deviations_lies_beside_its_adapter(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("from conformance.adapters.numpy_reference import NumPy\nclass Mine(NumPy):\n    name = 'mine'\n")
    assert find_adapters([f"{path}:Mine"])["mine"].deviations is None
    beside = tmp_path / "mine.deviations.yaml"
    beside.write_text("deviations: []\n")
    assert find_adapters([f"{path}:Mine"])["mine"].deviations == beside


@pytest.mark.parametrize(
    ("location", "message"),
    {
        "miniatures.py": "adapter 'miniatures.py': write path/to/file.py:Class",
        "miniatures.py:": "adapter 'miniatures.py:': write path/to/file.py:Class",
        "miniatures.py:3x": "adapter 'miniatures.py:3x': write path/to/file.py:Class",
        "none.py:Mine": "adapter none.py:Mine: no such file none.py",
        "no_such_module:Mine": "adapter no_such_module:Mine does not import: "
        "ModuleNotFoundError: No module named 'no_such_module'",
        "{tmp}/adapter.py:Nope": "adapter {tmp}/adapter.py:Nope: "
        "module 'conformance_adapter_adapter' has no attribute 'Nope'",
    }.items(),
)
def test_an_adapter_that_is_not_there(tmp_path, location, message):
    (tmp_path / "adapter.py").write_text("")
    with pytest.raises(TargetError) as caught:
        find_adapters([location.format(tmp=tmp_path)])
    assert str(caught.value) == message.format(tmp=tmp_path)


@pytest.mark.parametrize(
    ("source", "what"),
    {
        "import no_such_framework\n": "ModuleNotFoundError: No module named 'no_such_framework'",
        "class Mine(:\n": "SyntaxError: invalid syntax (adapter.py, line 1)",
        "raise SystemExit('no licence')\n": "SystemExit: no licence",
        "1 / 0\n": "ZeroDivisionError: division by zero",
    }.items(),
    ids=["missing import", "syntax", "exit", "error"],
)
def test_an_adapter_that_does_not_import(tmp_path, source, what):
    path = tmp_path / "adapter.py"
    path.write_text(source)
    with pytest.raises(TargetError) as caught:
        find_adapters([f"{path}:Mine"])
    assert str(caught.value) == f"adapter {path}:Mine does not import: {what}"


def test_every_fault_of_an_adapter_is_listed(tmp_path):
    path = tmp_path / "adapter.py"
    path.write_text(
        "class Mine:\n    name = 'two words'\n    requires = 'numpy'\n    devices = None\n    modes = ('eager', '')\n"
        "    accuracy = {'float32': ('a', 'b', 'c')}\n    def softmax(self, *, axis=1): ...\n"
    )
    with pytest.raises(TargetError) as caught:
        find_adapters([f"{path}:Mine"])
    assert str(caught.value).splitlines() == [
        f"adapter {path}:Mine does not keep the adapter contract:",
        "  the class attribute `name` must be a text without spaces, colons, * ? [ or ], not 'two words'",
        "  the class attribute `requires` must be a tuple of texts, not 'numpy'",
        "  the class attribute `devices` must be a tuple of texts, not None",
        "  the class attribute `modes` must be a tuple of texts, not ('eager', '')",
        "  the method `environment` is missing",
        "  the method `to_native` is missing",
        "  the method `to_numpy` is missing",
        '  `accuracy` must map a dtype to the errors of exp, log and log1p, as {"float32": (1.0, 1.0, 1.0)}',
        "  `__init__` must take (device, mode)",
        "  `softmax` must take (logits) by position and its options by keyword",
        "  `softmax` has axis=1 by default, where the loss has -1",
    ]


def test_a_package_inside_one_that_is_missing_is_missing(tmp_path):
    path = tmp_path / "adapter.py"
    path.write_text(
        "from conformance.adapters.numpy_reference import NumPy\nclass Mine(NumPy):\n"
        "    name = 'mine'\n    requires = ('no_such_package.part', 'os.path')\n"
    )
    assert find_adapters([f"{path}:Mine"])["mine"].missing() == ["no_such_package.part"]


@pytest.mark.parametrize("location", [adapter.location for adapter in find_adapters().values()])
def test_our_own_adapters_keep_the_contract(location):
    """A run does not look again."""
    assert contract_faults(load_class(location)) == []


def test_a_class_with_the_shape_of_the_contract_has_no_faults():
    assert contract_faults(Minimal) == []


NAME_FAULT = "the class attribute `name` must be a text without spaces, colons, * ? [ or ], not "


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"name": None}, f"{NAME_FAULT}None"),
        ({"name": ""}, f"{NAME_FAULT}''"),
        ({"name": "a:b"}, f"{NAME_FAULT}'a:b'"),
        ({"name": "a[b]"}, f"{NAME_FAULT}'a[b]'"),
        ({"environment": None}, "the method `environment` is missing"),
        ({"to_native": "no method"}, "the method `to_native` is missing"),
        ({"to_numpy": None}, "the method `to_numpy` is missing"),
        ({"__init__": lambda self: None}, "`__init__` must take (device, mode)"),
        ({"softmax": None}, f"it has no loss; a method is named as its loss: {LOSS_NAMES}"),
        ({"gradient": lambda self, loss: None}, "`gradient` must take (loss, inputs, wrt, cotangent)"),
        ({"bare": lambda self: None}, "`bare` must take (loss)"),
        (
            {"kl_div": lambda self, log_probs, *, log_target=False: None},
            "`kl_div` must take (log_probs, target) by position and its options by keyword",
        ),
        (
            {"softmax": lambda self, logits, *, dim=-1: None},
            "`softmax` declares the option `dim`, which the loss does not have; its options: axis",
        ),
        (
            {"sigmoid": lambda self, logits, *, axis=-1: None},
            "`sigmoid` declares the option `axis`, which the loss does not have; its options: none",
        ),
        (
            {"nll_loss": lambda self, log_probs, target, *, ignore_index=-1: None},
            "`nll_loss` has ignore_index=-1 by default, where the loss has -100",
        ),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_one_departure_from_the_contract_is_one_fault(changes, fault):
    assert contract_faults(type("Changed", (Minimal,), changes)) == [fault]


@pytest.mark.parametrize(
    "method",
    [
        lambda self, logits, target, *, reduction="sum": None,
        lambda self, logits, target, *, label_smoothing=0: None,
        lambda self, logits, target, more=1, *, weight=None: None,
        lambda self, *inputs, **options: None,
    ],
    ids=["other reduction", "equal default", "more by position", "anything"],
)
def test_liberties_that_a_method_may_take(method):
    assert contract_faults(type("Liberal", (Minimal,), {"cross_entropy": method})) == []


def test_only_a_class_is_an_adapter():
    assert contract_faults(Minimal("cpu", "eager")) == ["an adapter is a class; this is Minimal"]


# Binding


class Offers:
    """Losses with few options."""

    def softmax(self, logits): ...
    def kl_div(self, log_probs, target, *, reduction: Literal["mean", "sum"] = "mean"):
        return log_probs, target, reduction

    def nll_loss(self, log_probs, target): ...
    def binary_cross_entropy(self, probs, target, *, weight: Literal[None] = None): ...
    def entropy(self, probs, *, axis: NotImported = -1): ...  # noqa: F821 - an annotation that cannot be evaluated


@pytest.mark.parametrize(
    ("loss", "options", "message"),
    [
        ("sigmoid", {}, "no method sigmoid"),
        ("softmax", {"axis": 0}, "softmax has no option axis"),
        ("nll_loss", {"reduction": "mean"}, "nll_loss has no option reduction"),
        ("nll_loss", {"reduction": "none", "weight": np.ones(3)}, "nll_loss has no option weight"),
        ("kl_div", {"reduction": "none"}, "kl_div offers reduction only as 'mean', 'sum', not 'none'"),
        ("kl_div", {"reduction": "sum", "log_target": False}, "kl_div has no option log_target"),
        (
            "binary_cross_entropy",
            {"weight": np.ones(2)},
            "binary_cross_entropy offers weight only as None, not an array",
        ),
        (
            "binary_cross_entropy",
            {"weight": pack(np.ones(2))},
            "binary_cross_entropy offers weight only as None, not an array",
        ),
    ],
)
def test_what_a_signature_lacks_is_unsupported_by_name(loss, options, message):
    with pytest.raises(Unsupported, match=f"^{re.escape(message)}$"):
        bind(Offers(), loss, LOSSES[loss].inputs, options)


@pytest.mark.parametrize(
    ("loss", "options", "passed"),
    [
        ("softmax", {}, {}),
        ("nll_loss", {"reduction": "none"}, {}),
        ("kl_div", {"reduction": "sum"}, {"reduction": "sum"}),
        ("entropy", {"axis": 1}, {"axis": 1}),
    ],
)
def test_options_that_a_signature_has_are_passed(loss, options, passed):
    assert bind(Offers(), loss, LOSSES[loss].inputs, options).options == passed


def test_a_bound_loss_takes_its_inputs_by_position_or_by_name():
    bound = bind(Offers(), "kl_div", ("log_probs", "target"), {"reduction": "sum"})
    assert bound(1, 2) == bound(1, target=2) == bound(target=2, log_probs=1) == (1, 2, "sum")
    assert (bound.name, bound.inputs) == ("kl_div", ("log_probs", "target"))


def test_the_options_of_a_method_are_its_keyword_only_parameters():
    assert list(keyword_options(Offers().kl_div)) == ["reduction"]
    assert keyword_options(lambda x, y=1, *rest, a, b=2, **more: None)["a"].default is inspect.Parameter.empty


class Composes:
    @composed
    def entropy(self, probs, *, axis=-1): ...

    @composed("label_smoothing", "sum")
    def cross_entropy(self, logits, target, *, weight=None, reduction="mean", label_smoothing=0.0): ...

    def softmax(self, logits, *, axis=-1): ...


@pytest.mark.parametrize(
    ("loss", "options", "is_composed"),
    [
        ("entropy", {}, True),
        ("entropy", {"axis": 0}, True),
        ("softmax", {"axis": 0}, False),
        ("cross_entropy", {"reduction": "mean"}, False),
        ("cross_entropy", {"reduction": "sum"}, True),
        ("cross_entropy", {"reduction": "mean", "label_smoothing": 0.1}, True),
        ("cross_entropy", {"reduction": "mean", "weight": np.ones(3)}, False),
    ],
)
def test_composed_marks_a_method_or_some_of_its_uses(loss, options, is_composed):
    assert bind(Composes(), loss, LOSSES[loss].inputs, options).composed is is_composed


# Arrays on the wire


ALL_DTYPES = [*(FORMATS[name].dtype for name in DTYPES), *map(np.dtype, ("int8", "uint8", "int16", "int32", "int64"))]
LAYOUTS = {  # strides of a float64 array of shape (2, 3, 4), in elements
    None: (12, 4, 1),
    "transposed": (1, 2, 6),
    "strided": (24, 8, 2),
    "sliced": (30, 6, 1),
    "reversed": (-12, 4, 1),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=str)
def test_values_and_layouts_arrive(dtype, layout):
    sent = (np.arange(24).reshape(2, 3, 4) - (0 if dtype.kind == "u" else 12)).astype(dtype)
    arrived = unpack(pack(sent), layout)
    assert arrived.dtype == dtype
    assert arrived.strides == tuple(n * dtype.itemsize for n in LAYOUTS[layout])
    assert arrived.flags.writeable
    np.testing.assert_array_equal(arrived, sent)


@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=str)
def test_what_is_the_same_along_an_axis_is_expanded(dtype):
    rows = np.arange(12).reshape(3, 4).astype(dtype)
    for sent, strides in [
        (np.broadcast_to(rows, (2, 3, 4)), (0, 4, 1)),
        (np.broadcast_to(rows[:, None, :], (3, 2, 4)), (4, 0, 1)),
        (np.broadcast_to(rows[0, 0], (2, 3)), (0, 0)),
        (rows, (4, 1)),
    ]:
        arrived = unpack(pack(sent), "expanded")
        assert (arrived.strides, arrived.flags.writeable) == (tuple(n * dtype.itemsize for n in strides), True)
        np.testing.assert_array_equal(arrived, sent)


@pytest.mark.parametrize("layout", [*LAYOUTS, "expanded"])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 0), (2, 3)])
def test_small_shapes_arrive(shape, layout):
    sent = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    arrived = unpack(pack(sent), layout)
    assert arrived.shape == shape
    np.testing.assert_array_equal(arrived, sent)


@pytest.mark.parametrize("dtype", [FORMATS[name].dtype for name in DTYPES], ids=str)
def test_special_values_arrive_bit_for_bit(dtype):
    sent = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, FORMATS[dtype.name].smallest_subnormal]).astype(dtype)
    assert unpack(pack(sent)).tobytes() == sent.tobytes()


def test_views_and_foreign_byte_order_are_packed_by_value():
    values = np.arange(12.0).reshape(3, 4)
    for sent in (values.T, values[::-1, ::2], values.astype(">f8"), np.asfortranarray(values)):
        np.testing.assert_array_equal(unpack(pack(sent)), sent)


def test_an_unknown_layout_is_an_error():
    with pytest.raises(ValueError, match=r"^unknown layout 'diagonal'$"):
        unpack(pack(np.zeros(2)), "diagonal")


def in_a_bare_process(code: str) -> object:
    """Run code where only the package itself can be found beside the standard library and numpy; it prints JSON."""
    code = "import sys, json\n" + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_bfloat16_needs_no_ml_dtypes():
    """Without it a bfloat16 array is two bytes in a structured type, on both ways through the wire."""
    data = np.array([1.5, -2.0, np.inf]).astype(BFLOAT16)
    answer = in_a_bare_process(
        f"""
        sys.modules["ml_dtypes"] = None
        import numpy as np
        from conformance.targets.contract import BFLOAT16
        from conformance.targets.wire import pack, unpack
        array = unpack(("bfloat16", (3,), {data.tobytes()!r}), "reversed")
        assert array.dtype == BFLOAT16 and array.dtype.kind == "V" and array.strides == (-2,)
        name, shape, back = pack(array)
        print(json.dumps([str(BFLOAT16), array.view(np.int16).tolist(), name, shape, back.hex()]))
        """
    )
    assert answer == ["[('bfloat16', '<u2')]", data.view(np.int16).tolist(), "bfloat16", [3], data.tobytes().hex()]


def test_the_worker_needs_the_standard_library_and_numpy_only():
    loaded = in_a_bare_process(
        """
        sys.modules["ml_dtypes"] = None
        import numpy.typing
        before = set(sys.modules)
        import conformance.targets.worker
        print(json.dumps(sorted(set(sys.modules) - before - set(sys.stdlib_module_names))))
        """
    )
    foreign = [name for name in loaded if name.partition(".")[0] not in {"numpy", *sys.stdlib_module_names}]
    assert foreign == [
        "conformance",
        "conformance.printable",
        "conformance.targets",
        "conformance.targets.contract",
        "conformance.targets.journal",
        "conformance.targets.wire",
        "conformance.targets.worker",
    ]


def test_no_file_of_the_working_directory_hides_a_framework(tmp_path):
    """A fork is often run from its own checkout, which has a folder named like the framework."""
    (tmp_path / "numpy.py").write_text("raise RuntimeError('the wrong numpy')\n")
    (tmp_path / "neighbour.py").write_text("VALUE = 7\n")
    (tmp_path / "mine.py").write_text(
        "class Mine:\n"
        "    name = 'mine'\n"
        "    def __init__(self, device, mode):\n"
        "        import neighbour, numpy\n"
        "        self.numpy = numpy\n"
        "    def environment(self): return {'numpy': self.numpy.__version__}\n"
        "    def to_native(self, array): return array\n"
        "    def to_numpy(self, tensor): return tensor\n"
        "    def self_information(self, probs): return -self.numpy.log(probs)\n"
    )
    command = [sys.executable, "-P", "-m", "conformance", "run", "--adapter", "mine.py:Mine"]
    done = subprocess.run(
        [*command, "--select", "self_information/powers_of_half", "--dtype", "float32"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mine:cpu:eager" in done.stdout

"""Something of a framework's that writes down what is done with it.

The modules that an adapter keeps on itself are wrapped, and every call that it makes of them, and of what they
returned, is made and written down.
"""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from conformance.targets.statements import Line, Script


class RecordError(Exception):
    """An adapter does something that cannot be written down."""


class Traced:
    """Something of a framework's with the text that names it: what is done with it is done, and written down."""

    __slots__ = ("_real", "_script", "_text")

    def __init__(self, real: Any, text: str, script: Script) -> None:
        self._real, self._text, self._script = real, text, script

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        return Traced(found, f"{self._text}.{name}", self._script) if _followed(found) else found

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__slots__:
            super().__setattr__(name, value)
            return
        setattr(self._real, name, real(value, self._script))
        self._script.here.append(Line("", f"{self._text}.{name} = {written(value, self._script)}"))

    def __call__(self, *args: Any, **options: Any) -> Any:
        given = [(written(a, self._script), real(a, self._script)) for a in args]
        named = {name: (written(a, self._script), real(a, self._script)) for name, a in options.items()}
        shown = ", ".join([*(text for text, _ in given), *(f"{name}={text}" for name, (text, _) in named.items())])
        text = f"{self._text}({shown})"
        line = Line("", text)
        self._script.here.append(line)  # before it is called: a call that fails is what the script is for
        found = self._real(*(x for _, x in given), **{name: x for name, (_, x) in named.items()})
        if found is None:
            return None
        if not _followed(found) and not isinstance(found, (tuple, list)):
            self._script.here.remove(line)  # a number or a truth value: the adapter's own business
            return found
        if hasattr(found, "__enter__") and not hasattr(found, "shape"):
            self._script.here.remove(line)
            return Traced(found, text, self._script)
        return self._kept(found, line, self._stem())

    def _stem(self) -> str:
        """What to call a result: as the tensor whose method gave it, or as the function."""
        first, last = self._text.partition(".")[0], self._text.rpartition(".")[2]
        return re.sub(r"_\d+$", "", first) if first in self._script.tensors else last.strip("_")

    def _kept(self, found: Any, line: Line, stem: str) -> Traced:
        line.name = self._script.fresh(stem)
        self._script.tensors.add(line.name)
        return Traced(found, line.name, self._script)

    def _operation(self, template: str, found: Any, other: Any = None) -> Any:
        line = Line("", template.format(self._text, written(other, self._script)), loose=True)
        self._script.here.append(line)
        return self._kept(found, line, "result")

    def __getitem__(self, key: Any) -> Any:
        found = self._real[real(key, self._script)]
        return Traced(found, f"{self._text}[{written(key, self._script)}]", self._script)

    def __iter__(self) -> Iterator[Any]:
        for i, found in enumerate(self._real):
            yield Traced(found, f"{self._text}[{i}]", self._script)

    def __enter__(self) -> Traced:
        words = re.findall(r"[A-Z]?[a-z]+", self._text.partition("(")[0])  # GradientTape is called tape
        name = self._script.fresh(words[-1].lower() if words else "scope")
        self._script.begin(f"with {self._text} as {name}")
        return Traced(self._real.__enter__(), name, self._script)

    def __exit__(self, *error: Any) -> Any:
        self._script.end()
        return self._real.__exit__(*error)

    def __neg__(self) -> Any:
        return self._operation("-{0}", -self._real)

    def __len__(self) -> int:
        return len(self._real)

    def __bool__(self) -> bool:
        return bool(self._real)

    def __eq__(self, other: object) -> Any:
        """Not written down: what an adapter asks before it calls is its own business."""
        return self._real == real(other, self._script)

    __hash__ = object.__hash__

    def __array__(self, *args: Any, **options: Any) -> Any:
        return self._real.__array__(*args, **options)


def _operator(symbol: str, method: str) -> None:
    plain, turned = f"{{0}} {symbol} {{1}}", f"{{1}} {symbol} {{0}}"

    def forward(self: Traced, other: Any) -> Any:
        return self._operation(plain, getattr(self._real, f"__{method}__")(real(other, self._script)), other)

    def backward(self: Traced, other: Any) -> Any:
        return self._operation(turned, getattr(self._real, f"__r{method}__")(real(other, self._script)), other)

    setattr(Traced, f"__{method}__", forward)
    setattr(Traced, f"__r{method}__", backward)


for _symbol, _method in (("+", "add"), ("-", "sub"), ("*", "mul"), ("/", "truediv"), ("@", "matmul"), ("**", "pow")):
    _operator(_symbol, _method)


def _followed(found: Any) -> bool:
    """Whether what is done with it is written down: tensors, functions, modules, contexts, but no plain values."""
    plain = (bool, int, float, complex, str, bytes, tuple, list, dict, set, type(None))
    if isinstance(found, (ModuleType, type)) or callable(found):
        return True
    tensor = hasattr(found, "shape") and hasattr(found, "dtype")
    return not isinstance(found, plain) and (tensor or hasattr(found, "__enter__"))


def real(x: Any, script: Script) -> Any:
    """`x` without wrapping, for the framework; functions of the adapter are written down when they are called."""
    if isinstance(x, Traced):
        return x._real
    if isinstance(x, (tuple, list)):
        return type(x)(real(part, script) for part in x)
    if isinstance(x, functools.partial):
        parts = {name: real(part, script) for name, part in x.keywords.items()}
        return functools.partial(real(x.func, script), *real(x.args, script), **parts)
    if inspect.isfunction(x) and hasattr(x, "_recorded"):
        return x._recorded
    return x


def written(x: Any, script: Script) -> str:
    """`x` as it stands in a script."""
    if isinstance(x, Traced):
        return x._text
    if isinstance(x, (tuple, list)):
        inner = ", ".join(written(part, script) for part in x)
        return f"({inner}{',' if len(x) == 1 else ''})" if isinstance(x, tuple) else f"[{inner}]"
    if isinstance(x, functools.partial):
        parts = [written(x.func, script), *(written(a, script) for a in x.args)]
        parts += [f"{name}={written(part, script)}" for name, part in x.keywords.items()]
        return f"functools.partial({', '.join(parts)})"
    return _definition(x, script) if inspect.isfunction(x) else _plain(x)


def _plain(x: Any) -> str:
    if isinstance(x, float) and not math.isfinite(x):
        return f'float("{x}")'
    if isinstance(x, (bool, int, float, str, type(None), slice)):
        return repr(x)
    if x is ...:
        return "..."
    if str(x).startswith(f"{type(x).__module__.partition('.')[0]}."):  # such as torch.float32
        return str(x)
    if "dtype" in type(x).__name__.lower() and isinstance(getattr(x, "name", None), str):
        return f'"{x.name}"'
    raise RecordError(f"{type(x).__name__} has no text to write it with")


def _definition(function: Callable[..., Any], script: Script) -> str:
    """Write a function of the adapter as a `def`; its body is what it does when the framework first calls it."""
    name = script.fresh("of_" + "_".join(_parameters(function)))
    line = Line("", f"def {name}(...)", [])
    script.here.append(line)

    def recorded(*args: Any) -> Any:
        names = _parameters(function, len(args))
        script.taken.update(names)
        line.text, line.block = f"def {name}({', '.join(names)})", []
        script._open.append(line.block)
        try:
            found = function(*(Traced(a, n, script) for a, n in zip(args, names, strict=True)))
            line.block.append(Line("", f"return {written(found, script)}"))
        finally:
            script.end()
        return real(found, script)

    function._recorded = recorded  # type: ignore[attr-defined]
    return name


def _parameters(function: Callable[..., Any], count: int = 1) -> list[str]:
    parameters = list(inspect.signature(function).parameters.values())
    if len(parameters) == 1 and parameters[0].kind is inspect.Parameter.VAR_POSITIONAL:
        stem = parameters[0].name.rstrip("s") or "x"
        return [f"{stem}{i}" for i in range(count)] if count > 1 else [stem]
    return [p.name for p in parameters]

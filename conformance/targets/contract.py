"""What an adapter is: any class with this shape. This module needs the standard library and numpy only.

    class Torch:
        name = "torch"
        def __init__(self, device, mode): ...            # imports the framework, here and nowhere else
        def environment(self) -> dict[str, str]: ...     # versions, device really used, flags
        def to_native(self, array): ...                  # numpy -> framework tensor, same dtype, same layout
        def to_numpy(self, tensor): ...
        def gradient(self, loss, inputs, wrt, cotangent): ...
        def cross_entropy(self, logits, target, *, weight=None, reduction="mean"): ...

Optional class attributes: `requires` (import names that must be installed), `devices` and `modes` (what a target may
name, the default first). Methods are named as the losses; their options are keyword-only. What the signature lacks is
unsupported. A `Literal` annotation narrows the values of an option. An optional method `bare(loss)` returns the
framework's own function for a loss, or None; conventions about default values call it with the inputs alone.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Literal, TypeVar, get_args, get_origin

import numpy as np

try:
    from ml_dtypes import bfloat16 as _bfloat16

    BFLOAT16: np.dtype[Any] = np.dtype(_bfloat16)
except ImportError:  # a worker may have numpy and the framework only
    BFLOAT16 = np.dtype([("bfloat16", "<u2")])
"""How a bfloat16 array looks in numpy: ml_dtypes' type where there is one, else two bytes in a structured type.

Both are of kind "V" and both can be viewed as int16, which is all that an adapter needs."""

Method = TypeVar("Method", bound=Callable[..., Any])
PLAIN = (str, int, float, bool, type(None))
"""What options are that are no arrays."""
Offer = Mapping[str, tuple[Any, ...]]
"""The options of a method, each with the values that it may have, or with none where it may have any."""


def composed(*uses: Any) -> Any:
    """Mark a loss that a user of the framework must compose by hand; reports show it as composed.

    Plain `@composed` marks the method. `@composed("label_smoothing", "mean")` marks only its use with one of these
    options, or with one of these values of an option.
    """
    if len(uses) == 1 and callable(uses[0]):
        uses[0].composed = True
        return uses[0]

    def mark(method: Method) -> Method:
        method.composed = frozenset(uses)  # type: ignore[attr-defined]
        return method

    return mark


class Unsupported(Exception):  # noqa: N818 - an answer, not an error
    """The adapter's signatures do not offer what a trial asks for."""


class BoundLoss:
    """An adapter's loss with the options of a trial: call it with the inputs, by position or by name.

    `name` and `options` say what it is, for an adapter without automatic differentiation.
    """

    def __init__(self, method: Callable[..., Any], name: str, inputs: tuple[str, ...], options: Mapping[str, Any]):
        self.method = method
        self.name = name
        self.inputs = inputs
        self.options = dict(options)

    @property
    def composed(self) -> bool:
        """Whether this use of the loss is composed by hand rather than offered by the framework."""
        marked = getattr(self.method, "composed", False)
        if isinstance(marked, bool):
            return marked
        said = {*self.options, *(x for x in self.options.values() if isinstance(x, str))}
        return bool(marked & said)

    def __call__(self, *args: Any, **named: Any) -> Any:
        ordered = [*args, *(named[name] for name in self.inputs[len(args) :])]
        return self.method(*ordered, **self.options)


def bind(adapter: Any, loss: str, inputs: tuple[str, ...], options: Mapping[str, Any]) -> BoundLoss:
    """The adapter's method for `loss` with `options`. Raises `Unsupported` naming what its signature lacks."""
    offered = offer_of(adapter, loss)
    if lacking := lacks(loss, offered, options):
        raise Unsupported(lacking)
    assert offered is not None, "else the method is what is lacking"
    passed = {name: value for name, value in options.items() if name in offered}
    return BoundLoss(getattr(adapter, loss), loss, inputs, passed)


def offer_of(adapter: Any, method: str) -> Offer | None:
    """What the signature of an adapter's method offers, None where there is no such method."""
    found = getattr(adapter, method, None)
    return None if found is None else _offer(getattr(found, "__func__", found))


def offers_of(adapter: Any, methods: Iterable[str]) -> dict[str, Offer | None]:
    """What an adapter's signatures offer of some methods, None of those that it lacks.

    Nothing is said of a method whose signature cannot be read, or holds more than the plain values that the host
    understands.
    """
    offers: dict[str, Offer | None] = {}
    for method in methods:
        with contextlib.suppress(Exception):  # asked for it, the adapter says so itself
            found = offer_of(adapter, method)
            if all(type(x) in PLAIN for values in (found or {}).values() for x in values):
                offers[method] = found
    return offers


def require(adapter: Any, method: str) -> None:
    """Raises `Unsupported` where an adapter has no such method."""
    if getattr(adapter, method, None) is None:
        raise Unsupported(lacks(method, None, {}))


def lacks(method: str, offered: Offer | None, options: Mapping[str, Any]) -> str:
    """What a call of a method with `options` lacks, by name, where this is what is offered; nothing if it can be made.

    A value that is not plain is an array, in one form or another.
    """
    if offered is None:
        return f"no method {method}"
    for name, value in options.items():
        if name not in offered:
            if (name, value) != ("reduction", "none"):  # a method without reductions returns what "none" asks for
                return f"{method} has no option {name}"
        elif (allowed := offered[name]) and (type(value) not in PLAIN or value not in allowed):
            said = repr(value) if type(value) in PLAIN else "an array"
            return f"{method} offers {name} only as {', '.join(map(repr, allowed))}, not {said}"
    return ""


def bind_bare(adapter: Any, loss: str, inputs: tuple[str, ...], options: Mapping[str, Any]) -> BoundLoss:
    """The framework's own function for `loss`, to be called with the inputs alone. Raises `Unsupported` without one."""
    assert not options, "a bare call passes no option"
    function = adapter.bare(loss) if hasattr(adapter, "bare") else None
    if function is None:
        raise Unsupported(f"no bare call of {loss}")
    return BoundLoss(function, loss, inputs, {})


def keyword_options(method: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """The keyword-only parameters of a method, with evaluated annotations where they can be."""
    try:
        signature = inspect.signature(method, eval_str=True)
    except Exception:  # an annotation that names what is not there; the names are still good
        signature = inspect.signature(method)
    return {p.name: p for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY}


@cache
def _offer(method: Callable[..., Any]) -> Offer:
    options = keyword_options(method).items()
    return {name: get_args(p.annotation) if get_origin(p.annotation) is Literal else () for name, p in options}

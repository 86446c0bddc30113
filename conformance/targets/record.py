"""What an adapter does on a question, as a script in the framework's own API.

The adapter runs as always, with its modules wrapped, so that a script says what the adapter does and cannot drift from
it. Standard library and numpy only, as this runs where the framework is.
"""

from __future__ import annotations

import os
import re
from types import ModuleType
from typing import Any

import numpy as np

from conformance.targets.contract import BFLOAT16, Unsupported, bind, bind_bare, require
from conformance.targets.statements import Line, Script
from conformance.targets.traced import RecordError, Traced
from conformance.targets.wire import unpack
from conformance.targets.worker import arrays_of, describe, load_class

_WIDTH = 92
_MANY = 24
_PERIOD = 7
"""Length of the pattern that upstream gradients are made of."""


def script(adapter: Any, request: dict[str, Any]) -> str:
    """The script of a request. Raises `RecordError` when the adapter cannot be written down."""
    way = getattr(adapter, "script", None)
    if way is None:
        raise RecordError(f"the adapter {adapter.name} has no `script`, which says how its framework writes an array")
    arrays = {name: unpack(x, request["layout"].get(name)) for name, x in arrays_of(request).items()}
    native = {name: adapter.to_native(x) for name, x in arrays.items()}
    kept = {name: layout for name, layout in request["layout"].items() if hasattr(native.get(name), "stride")}
    given = [f"{name} = {literal(x, way['literal'], kept.get(name))}" for name, x in arrays.items()]
    modules = {name: x for name, x in vars(adapter).items() if isinstance(x, ModuleType)}
    roots = {x.__name__: name for name, x in modules.items() if "." not in x.__name__}
    recording = Script(taken={*native, *roots.values(), *modules}, tensors=set(native))
    for name, module in modules.items():
        root, dot, rest = module.__name__.partition(".")
        setattr(adapter, name, Traced(module, f"{roots.get(root, root)}{dot}{rest}", recording))
    try:
        traced = {name: Traced(x, name, recording) for name, x in native.items()}
        _run(adapter, request, traced, recording, way["listed"])
    finally:
        vars(adapter).update(modules)
    body = recording.text()
    stated = f"{body} {' '.join(given)}"
    imports = [f"import {name}" for name in ("functools", "numpy") if re.search(rf"(?<![\w.]){name}\.", stated)]
    used = {*roots, *(x.__name__.partition(".")[0] for x in modules.values())}
    text = "\n".join([*given, body, *way.get("setup", ())])
    imports += [
        f"import {root}" + (f" as {roots[root]}" if roots.get(root, root) != root else "")
        for root in sorted(used)
        if re.search(rf"\b{roots.get(root, root)}\.", text)
    ]
    if re.search(r"\b(inf|nan)\b", " ".join(given)):
        imports.insert(0, "from math import inf, nan")
    return "\n".join([*way.get("before", ()), *imports, *way.get("setup", ()), "", *given, body]) + "\n"


def _run(adapter: Any, request: dict[str, Any], traced: dict[str, Traced], recording: Script, listed: str) -> None:
    """Do what the worker does with a request, on traced arrays; what the framework refuses ends the script."""
    inputs = {name: traced[name] for name in request["inputs"]}
    options = {**request["options"], **{name: traced[name] for name in request["array_options"]}}
    loss = (bind_bare if request["bare"] else bind)(adapter, request["loss"], tuple(inputs), options)
    if request["cotangent"] is not None:
        require(adapter, "gradient")
    try:
        if request["cotangent"] is None:
            result = loss(**inputs)
        else:
            result = adapter.gradient(loss, inputs, request["wrt"], traced["cotangent"])
    except RecordError:
        raise
    except Exception:
        if not recording.here:
            raise
        return
    if not isinstance(result, Traced):
        raise RecordError(f"the adapter {adapter.name} reaches its framework in another way than by its own attributes")
    recording.lines.append(Line("", f"print({listed.format(result._text)})"))


def literal(array: Any, template: str, layout: str | None) -> str:
    """An array in the framework's words; a layout by indexing into a larger one."""
    dtype = "bfloat16" if array.dtype == BFLOAT16 else array.dtype.name
    inside = ""
    values = widened(array)
    if layout == "transposed" and values.ndim > 1:
        values, inside = values.T, f".permute{tuple(range(values.ndim))[::-1]}"
    elif layout == "strided" and values.ndim:
        wide = np.zeros((*values.shape[:-1], 2 * values.shape[-1]), values.dtype)
        wide[..., ::2] = values
        values, inside = wide, "[..., ::2]"
    elif layout == "sliced" and values.ndim:
        values, inside = np.pad(values, 1), f"[{', '.join(['1:-1'] * values.ndim)}]"
    elif layout == "expanded" and 0 in array.strides:
        inside = f".expand{values.shape}"
        values = values[tuple(slice(0, 1) if step == 0 else slice(None) for step in array.strides)]
    shown = _rows(values)
    if not values.size:
        shown, inside = f"numpy.zeros({values.shape})", ""
    elif values.size > _MANY and len(set(values.ravel().tolist())) == 1:
        shown = _repeated(repr(values.flat[0].item()), values.shape)
    elif values.size > _MANY and np.array_equal(values, np.resize(values.ravel()[:_PERIOD], values.shape)):
        shown = f"numpy.resize({values.ravel()[:_PERIOD].tolist()!r}, {values.shape})"
    return template.format(values=shown, dtype=dtype) + inside


def _rows(values: Any) -> str:
    """Nested lists, a row a line where one line is too long for all of them."""
    text = repr(values.tolist())
    if len(text) < _WIDTH or values.ndim < 2:
        return text
    return "[\n" + "".join(f"    {row.tolist()!r},\n" for row in values) + "]"


def _repeated(text: str, shape: tuple[int, ...]) -> str:
    for count in shape[::-1]:
        text = f"[{text}] * {count}"
    return text


def widened(array: Any) -> Any:
    """Numbers of an array as Python's, which become the same again in its dtype; float32 in its own few digits.

    Frameworks round a number to 16 bits by way of float32, so that only the exact one is safe there.
    """
    if array.dtype == BFLOAT16:
        return (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    if array.dtype == np.float32:
        return np.array([float(str(x)) for x in array.ravel()]).reshape(array.shape)
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def serve(channel: Any) -> None:
    """Write the scripts that are asked for over an execnet channel until it closes."""
    setup = channel.receive()
    os.dup2(os.open(setup["stderr"], os.O_WRONLY), 2)
    adapter = load_class(setup["adapter"])(setup["device"], setup["mode"])
    for request in channel:
        try:
            channel.send({"script": script(adapter, request)})
        except (RecordError, Unsupported) as refusal:
            channel.send({"refused": str(refusal)})
        except Exception as error:
            channel.send({"refused": f"the adapter cannot be followed: {describe(error)}"})

"""Numbers and arrays as case files write them: literals, special values, hex floats, nested lists, generators."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, TypeAdapter, WithJsonSchema

from conformance.casefiles.generators import Generator
from conformance.losses import Array

_GENERATOR: TypeAdapter[Any] = TypeAdapter(Generator)
_NUMBER_WORDS = {".inf": np.inf, "+.inf": np.inf, "-.inf": -np.inf, ".nan": np.nan}


def number(value: Any) -> float | int:
    """A number as a case file writes it: an integer, a float, `.inf`, `.nan`, a hex float or digits in quotes."""
    if isinstance(value, bool) or value is None:
        raise ValueError(f"{value!r} is not a number")
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _NUMBER_WORDS:
            return _NUMBER_WORDS[word]
        try:
            return float.fromhex(word) if "0x" in word else float(word)
        except (ValueError, OverflowError):
            raise ValueError(f"{value!r} is not a number") from None
    if not isinstance(value, (int, float)):
        raise ValueError(f"{type(value).__name__} is not a number")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError(f"{value} does not fit 64 bits")
    return int(value) if isinstance(value, int) else float(value)


def array(value: Any) -> Array:
    """A number, nested lists of numbers or a generator as an int64 (all integers) or float64 array."""
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, dict):
        try:
            drawn: Array = _GENERATOR.validate_python(value).draw()
        except MemoryError:
            raise ValueError("the array does not fit in memory") from None
        return drawn
    nested = _nested(value, "")
    shape = _shape(nested, "")
    flat = _flatten(nested)
    dtype = np.int64 if flat and all(isinstance(x, int) for x in flat) else np.float64
    return np.array(flat, dtype=dtype).reshape(shape)


def _nested(value: Any, place: str) -> Any:
    if isinstance(value, list):
        return [_nested(x, f"{place}[{i}]") for i, x in enumerate(value)]
    try:
        return number(value)
    except ValueError as error:
        raise ValueError(f"{error} (at {place})" if place else str(error)) from None


def _shape(nested: Any, place: str) -> tuple[int, ...]:
    if not isinstance(nested, list):
        return ()
    inner = [_shape(x, f"{place}[{i}]") for i, x in enumerate(nested)]
    for i, shape in enumerate(inner):
        if shape != inner[0]:
            raise ValueError(f"ragged: {place}[{i}] has shape {shape}, {place}[0] has {inner[0]}")
    return (len(nested), *(inner[0] if inner else ()))


def _flatten(nested: Any) -> list[float | int]:
    if not isinstance(nested, list):
        return [nested]
    return [x for part in nested for x in _flatten(part)]


def generator_schema() -> dict[str, Any]:
    """JSON Schema of a generator, with its definitions under `$defs`."""
    return _GENERATOR.json_schema(ref_template="#/$defs/{model}")


# pydantic resolves references while it builds a schema, so ours are put in as comments and replaced at the end.
Values = Annotated[Any, BeforeValidator(array), WithJsonSchema({"$comment": "Input"})]

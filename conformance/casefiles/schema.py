"""What a case file may say: one pydantic model per loss, made from the loss's own signature.

The models name every key, so an unknown one is an error, and their JSON Schema is published for editors
(`conformance list schema`, `docs/case.schema.json`).
"""

from __future__ import annotations

import json
import re
from functools import cache
from inspect import Parameter
from typing import Annotated, Any, Literal, get_args, get_origin

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    TypeAdapter,
    WithJsonSchema,
    create_model,
)

from conformance.casefiles.generators import Generator
from conformance.losses import DTYPES, LOSSES, Array, Loss

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


def _text_or_array(value: Any) -> Any:
    return value if value == "error" else array(value)


# pydantic resolves references while it builds a schema, so ours are put in as comments and replaced at the end.
Values = Annotated[Any, BeforeValidator(array), WithJsonSchema({"$comment": "Input"})]
Result = Annotated[Any, BeforeValidator(_text_or_array), WithJsonSchema({"$comment": "Expected"})]


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"not text: {error.reason} at {error.start}") from None
    return text


Text = Annotated[StrictStr, AfterValidator(_encodable)]
_Layout = Literal["transposed", "strided", "sliced", "reversed"]
_LabelDtype = Literal["int8", "uint8", "int16", "int32", "int64"]
_Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$", max_length=100)]


class CommonCase(BaseModel):
    """The keys that a case of any loss may have; its inputs and options come from the loss's signature."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    id: _Name = Field(description="Stable name, unique within the loss; never reused.")
    title: Text = Field("", description="What the case is, in one line.")
    why: Text = Field("", description="Why it exists: what it would catch.")
    source: Text = Field("", description="Where it is from: an article, a document, an issue.")
    printed: Any = Field(None, description="The value as published; digits in quotes keep trailing zeros.")
    expected: Result = Field(None, description="The exact value for these inputs in float64, or the word error.")
    golden: StrictStr = Field("", description="Digest of value and gradient; written by `conformance freeze`.")
    steps: dict[str, Any] = Field(default_factory=dict, description="Intermediate values as published, by step name.")
    convention: _Name | None = Field(None, description="A point on which libraries differ on purpose.")
    outcomes: dict[_Name, Result] = Field(default_factory=dict, description="What each side of the convention gives.")
    dtypes: list[Literal[DTYPES]] = Field(list(DTYPES), min_length=1)  # type: ignore[valid-type]
    grad: StrictBool = Field(True, description="Whether the gradient is tried too.")
    cotangent: Values | None = Field(None, description="Upstream gradient; by default a fixed pattern that is not 1.")
    layout: dict[str, _Layout] = Field(default_factory=dict, description="Memory layout of an input.")
    target_dtype: _LabelDtype | None = Field(None, description="Integer type of class indices; int64 by default.")
    tags: list[_Name] = Field(default_factory=list)


@cache
def case_model(loss_name: str) -> type[CommonCase]:
    """The model of one case of a loss: the common keys, its inputs, and `options`."""
    loss = LOSSES[loss_name]
    fields: dict[str, Any] = dict.fromkeys(loss.inputs, (Values, ...))
    options = _options_model(loss)
    fields["options"] = (options, Field(default_factory=options))
    title = "".join(word.title() for word in loss_name.split("_"))
    return create_model(f"{title}Case", __base__=CommonCase, **fields)


def _options_model(loss: Loss) -> type[BaseModel]:
    fields = {name: (_option_type(p), p.default) for name, p in loss.options.items()}
    model: type[BaseModel] = create_model(
        f"{loss.name.title().replace('_', '')}Options",
        __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=True),
        **fields,  # type: ignore[call-overload]
    )
    return model


def _option_type(parameter: Parameter) -> Any:
    annotation = parameter.annotation
    if annotation is int:
        return StrictInt
    if annotation is bool:
        return StrictBool
    if annotation is float:
        return Annotated[float, BeforeValidator(_scalar), Field(ge=0, le=1)]
    if get_origin(annotation) is Literal:
        return Literal[get_args(annotation)]
    return Values | None


def _scalar(value: Any) -> float:
    return float(number(value))


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a case file, for editors and other tools."""
    definitions: dict[str, Any] = {
        "Values": {
            "description": "A number or nested lists of numbers; .inf, .nan, hex floats and digits may be in quotes.",
            "anyOf": [
                {"type": "number"},
                {"type": "string"},
                {"type": "array", "items": {"$ref": "#/$defs/Values"}},
            ],
        },
        "Expected": {"anyOf": [{"const": "error"}, {"$ref": "#/$defs/Input"}]},
    }
    generator = _GENERATOR.json_schema(ref_template="#/$defs/{model}")
    definitions |= generator.pop("$defs")
    definitions["Input"] = {"anyOf": [{"$ref": "#/$defs/Values"}, generator]}
    files = []
    for name in LOSSES:
        schema = case_model(name).model_json_schema(ref_template="#/$defs/{model}")
        definitions |= schema.pop("$defs", {})
        definitions[schema["title"]] = schema
        files.append(
            {
                "properties": {
                    "loss": {"const": name},
                    "cases": {"type": "array", "items": {"$ref": f"#/$defs/{schema['title']}"}},
                },
                "required": ["loss", "cases"],
                "additionalProperties": False,
            }
        )
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Conformance case file",
        "type": "object",
        "oneOf": files,
        "$defs": definitions,
    }
    resolved: dict[str, Any] = json.loads(re.sub(r'"\$comment": "(\w+)"', r'"$ref": "#/$defs/\1"', json.dumps(schema)))
    return resolved


def json_schema_text() -> str:
    """The schema as the file `docs/case.schema.json` holds it."""
    return json.dumps(json_schema(), indent=2, sort_keys=True) + "\n"

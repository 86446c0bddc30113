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

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    create_model,
)

from conformance.casefiles.convention import Outcome
from conformance.casefiles.values import Values, array, generator_schema, number
from conformance.losses import DTYPES, LOSSES, Loss
from conformance.printable import CONTROL


def _text_or_array(value: Any) -> Any:
    return value if value == "error" else array(value)


def _outcome(value: Any) -> Outcome:
    """The word error, what the value must be, or a mapping of what an answer must show."""
    if value == "error":
        return Outcome(error="")
    if isinstance(value, dict) and "generator" not in value:
        shown = OutcomeModel.model_validate(value)
        shape = None if shown.shape is None else tuple(shown.shape)
        return Outcome(shown.value, shown.dtype, shape, shown.error, tuple(shown.changed))
    return Outcome(array(value), plain=True)


Result = Annotated[Any, BeforeValidator(_text_or_array), WithJsonSchema({"$comment": "Expected"})]
Shown = Annotated[Any, BeforeValidator(_outcome), WithJsonSchema({"$comment": "Outcome"})]


def _readable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"not text: {error.reason} at {error.start}") from None
    if control := CONTROL.search(text):
        raise ValueError(f"not text: control character U+{ord(control[0]):04X} at {control.start()}")
    return text


Text = Annotated[StrictStr, AfterValidator(_readable)]
_Layout = Literal["transposed", "strided", "sliced", "reversed", "expanded"]
_LabelDtype = Literal["int8", "uint8", "int16", "int32", "int64"]
_InputDtype = Literal["bool", "int8", "uint8", "int16", "int32", "int64", "float16", "float32", "float64"]
_Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$", max_length=100)]


class OutcomeModel(BaseModel):
    """An outcome by what it shows, where the value alone does not tell it."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    value: Values | None = None
    dtype: StrictStr | None = Field(None, description="Name of the result's dtype.")
    shape: list[StrictInt] | None = Field(None, description="Shape of the result.")
    error: StrictStr | None = Field(None, description="Name of the error's type; empty for any.")
    changed: list[StrictStr] = Field(default_factory=list, description="Inputs that the call overwrites.")


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
    outcomes: dict[_Name, Shown] = Field(default_factory=dict, description="What each side of the convention gives.")
    topic: Text = Field("", description="The group of a convention in tables.")
    question: Text = Field("", description="What a convention asks, as a question.")
    output: Literal["value", "gradient"] = Field("value", description="What a convention is about.")
    wrt: StrictStr = Field("", description="The input that the gradient of a convention is taken with respect to.")
    input_dtypes: dict[str, _InputDtype] = Field(
        default_factory=dict, description="Inputs and options of a convention that do not follow the trial's dtype."
    )
    bare: StrictBool = Field(False, description="Pass no option, so that the framework's own defaults hold.")
    dtypes: list[Literal[DTYPES]] = Field(list(DTYPES), min_length=1)  # type: ignore[valid-type]
    grad: StrictBool = Field(True, description="Whether the gradient is tried too.")
    cotangent: Values | None = Field(None, description="Upstream gradient; by default a fixed pattern that is not 1.")
    layout: dict[str, _Layout] = Field(
        default_factory=dict, description="Memory layout of an input, of an option or of the cotangent."
    )
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
        return Annotated[float, BeforeValidator(_scalar)]
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
        "Outcome": {"anyOf": [{"$ref": "#/$defs/Expected"}, _shown_schema()]},
    }
    generator = generator_schema()
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


def _shown_schema() -> dict[str, Any]:
    schema = OutcomeModel.model_json_schema()
    return {key: part for key, part in schema.items() if key != "title"}


def json_schema_text() -> str:
    """The schema as the file `docs/case.schema.json` holds it."""
    return json.dumps(json_schema(), indent=2, sort_keys=True) + "\n"

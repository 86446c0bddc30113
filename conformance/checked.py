"""What people write in a table or a list, checked against a dataclass.

The dataclass says it all: the types, and in the `metadata` of a field what pydantic's `Field` takes, such as `ge` or
`description`, and a function `check` that raises ValueError. A `hidden` field is no key. pydantic is slow to import, so
it comes only where there is something to check.
"""

from __future__ import annotations

import reprlib
from dataclasses import MISSING, Field, fields
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

if TYPE_CHECKING:
    from pydantic import BaseModel


@cache
def model(cls: Any, *, strict: bool = False) -> type[BaseModel]:
    """The pydantic model of a dataclass. It knows no other keys; `strict` allows no text where a number is wanted."""
    from pydantic import ConfigDict, create_model  # see above

    hints = get_type_hints(cls)
    keys: dict[str, Any] = {one.name: _key(one, hints[one.name]) for one in _keys(cls)}
    config = ConfigDict(extra="forbid", strict=strict)
    return create_model(cls.__name__, __config__=config, __doc__=cls.__doc__, **keys)


def checked(cls: Any, given: Any, *, strict: bool = False) -> dict[str, Any]:
    """The fields that are given, by name. Raises pydantic's `ValidationError`, which names all that is wrong."""
    found: dict[str, Any] = model(cls, strict=strict).model_validate(given).model_dump(exclude_unset=True)
    return found


def fault(detail: Any, cls: Any, kind: str) -> str:
    """One of the details of such an error in words; `kind` is what the dataclass is where people write it."""
    if detail["type"] == "extra_forbidden":
        return f"unknown key; the keys are {', '.join(one.name for one in _keys(cls))}"
    if detail["type"] == "missing":
        return "missing"
    if detail["type"] in ("too_short", "string_too_short"):
        return "must not be empty"
    if detail["type"] == "value_error":
        return str(detail["msg"]).removeprefix("Value error, ")
    needed = detail["msg"].removeprefix("Input should be ").partition(", input")[0]
    needed = needed.replace(f"valid dictionary or instance of {cls.__name__}", kind)
    return f"{needed} is needed, not {reprlib.repr(detail['input'])}"


def _keys(cls: Any) -> list[Field[Any]]:
    """The fields that people may write."""
    return [one for one in fields(cls) if "hidden" not in one.metadata]


def _key(one: Field[Any], hint: Any) -> tuple[Any, Any]:
    """Type and description of a field, as pydantic takes them."""
    from pydantic import AfterValidator
    from pydantic import Field as Key

    said = dict(one.metadata)
    check = said.pop("check", None)
    if one.default is not MISSING:
        said["default"] = one.default
    elif one.default_factory is not MISSING:
        said["default_factory"] = one.default_factory
    return (hint if check is None else Annotated[hint, AfterValidator(check)]), Key(**said)

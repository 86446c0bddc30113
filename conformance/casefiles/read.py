"""One case file, YAML 1.2 or JSON, as cases: every problem reported with its line.

YAML 1.2 matters: under 1.1, `1e-3` is text and `no` is false.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from conformance.casefiles.build import build_case
from conformance.casefiles.build_convention import Fault
from conformance.casefiles.case import Case
from conformance.casefiles.schema import case_model
from conformance.errors import Problem
from conformance.losses import LOSSES
from conformance.yamlfile import line_of, load, place

_SURROGATES = re.compile(r"(?<!\\)((?:\\\\)*)(\\u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w)")
"""JSON's way to write a character beyond U+FFFF, which means something else in YAML."""


def read_file(path: Path, file: str, problems: list[Problem]) -> list[Case]:
    """The cases of a file, called `file` in messages; adds to `problems` what is wrong with it."""
    try:
        document = parse(path)
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(file, None, "", f"cannot be read: {error}"))
        return []
    except json.JSONDecodeError as error:
        problems.append(Problem(file, error.lineno, "", f"not valid JSON: {error.msg}"))
        return []
    except MarkedYAMLError as error:
        line, what = place(error)
        problems.append(Problem(file, line, "", f"not valid YAML: {what}"))
        return []
    except (YAMLError, ValueError, RecursionError) as error:
        problems.append(Problem(file, None, "", f"not valid YAML: {str(error).splitlines()[0] or error!r}"))
        return []
    except Exception as error:  # ruamel trips over a tag on a value that is none of its kind, in many ways
        problems.append(Problem(file, None, "", f"not valid YAML: a tag (!!) does not fit its value ({error})"))
        return []
    return _read_document(file, document, problems)


def parse(path: Path) -> Any:
    """A case file as ruamel's nested mappings and lists, which know their lines."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        json.loads(text)  # YAML is a superset of JSON and keeps the lines, but would accept more than JSON
        text = _SURROGATES.sub(lambda found: found[1] + json.loads(f'"{found[2]}"'), text.replace("\t", " "))
    return load(text)


def _read_document(file: str, document: Any, problems: list[Problem]) -> list[Case]:
    def wrong(path: str, message: str, line: int | None = None) -> None:
        problems.append(Problem(file, line, path, message))

    if not isinstance(document, dict):
        wrong("", f"a case file is a mapping with the keys loss and cases, not {_kind(document)}", 1)
        return []
    for key in document:
        if key not in ("loss", "cases"):
            wrong(str(key), "unknown key; a case file has loss and cases", line_of(document, [key]))
    loss = document.get("loss")
    if not isinstance(loss, str) or loss not in LOSSES:
        said = "missing" if loss is None else f"unknown loss {loss!r}"
        wrong("loss", f"{said}; the losses are {', '.join(LOSSES)}", line_of(document, ["loss"]))
        return []
    listed = document.get("cases")
    if not isinstance(listed, list):
        wrong("cases", f"a list of cases is needed here, not {_kind(listed)}", line_of(document, ["cases"]))
        return []
    cases = [_read_case(file, loss, document, i, problems) for i in range(len(listed))]
    return [case for case in cases if case is not None]


def _read_case(file: str, loss: str, document: Any, index: int, problems: list[Problem]) -> Case | None:
    entry, line = document["cases"][index], line_of(document, ["cases", index])
    label = f"cases[{index}]"
    if not isinstance(entry, dict):
        problems.append(Problem(file, line, label, f"a case is a mapping, not {_kind(entry)}"))
        return None
    if isinstance(entry.get("id"), str):
        label = f"{loss}/{entry['id']}"
    case, faults = _build(loss, entry, f"{file}:{line}")
    for path, message in faults:
        problems.append(Problem(file, line_of(entry, path) or line, _join(label, path), message))
    return None if faults else case


def _build(loss: str, entry: dict[str, Any], where: str) -> tuple[Case | None, list[Fault]]:
    """The case and its faults; where single keys are wrong, the rest is looked at without them."""
    try:
        return build_case(LOSSES[loss], case_model(loss).model_validate(entry), where)
    except ValidationError as error:
        details = error.errors()
    faults = [([part for part in detail["loc"] if not _internal(part)], _message(detail)) for detail in details]
    try:
        rest = case_model(loss).model_validate(_without(entry, [path for path, _ in faults]))
    except ValidationError:  # what is wrong is needed
        return None, faults
    broken = {path[0] for path, _ in faults if path}
    more = build_case(LOSSES[loss], rest, where)[1]
    return None, faults + [fault for fault in more if fault[0] != ["convention"] or "outcomes" not in broken]


def _without(entry: dict[str, Any], paths: Iterable[Sequence[Any]]) -> dict[str, Any]:
    """A copy of a case without the keys, or the single options, that `paths` lead to."""
    kept = dict(entry)
    if isinstance(kept.get("options"), dict):
        kept["options"] = dict(kept["options"])
    for path in paths:
        inside = kept.get("options") if len(path) > 1 and path[0] == "options" else None
        if isinstance(inside, dict):
            inside.pop(path[1], None)
        elif path:
            kept.pop(path[0], None)
    return kept


def _internal(part: Any) -> bool:
    """Parts of an error's location that name pydantic's own machinery and not the file's keys."""
    return isinstance(part, str) and "[" in part


def _join(label: str, path: Sequence[Any]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
    return f"{label} @ {text}" if text else label


def _message(detail: Any) -> str:
    if detail["type"] == "extra_forbidden":
        return "unknown key"
    if detail["type"] == "missing":
        return "missing"
    message = str(detail["msg"]).removeprefix("Value error, ")
    given = detail.get("input")
    if isinstance(given, (str, int, float)) and repr(given) not in message:
        message += f", not {given!r}"
    return message


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    for kind, name in ((dict, "a mapping"), (list, "a list"), (str, "text")):
        if isinstance(value, kind):
            return name
    return f"{type(value).__name__} {value!r}"

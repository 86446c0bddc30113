"""Read case files: YAML 1.2 or JSON, every problem of every file reported at once with its line.

YAML 1.2 matters: under 1.1, `1e-3` is text and `no` is false.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from conformance.casefiles.build import build_case
from conformance.casefiles.build_convention import Fault
from conformance.casefiles.case import Case
from conformance.casefiles.schema import case_model
from conformance.errors import CaseError, Problem
from conformance.losses import LOSSES

SUFFIXES = (".yaml", ".yml", ".json")
_SURROGATES = re.compile(r"(?<!\\)((?:\\\\)*)(\\u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w)")
"""JSON's way to write a character beyond U+FFFF, which means something else in YAML."""


def builtin_files() -> list[Path]:
    """The case files that come with the suite."""
    folder = files("conformance.cases")
    return sorted(Path(str(entry)) for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def find_files(paths: Iterable[Path]) -> list[Path]:
    """Case files named by `paths`; a folder stands for every case file below it."""
    found: list[Path] = []
    problems: list[Problem] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES)
            if not inside:
                problems.append(Problem(str(path), None, "", f"no case file here; they end in {', '.join(SUFFIXES)}"))
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            problems.append(Problem(str(path), None, "", "no such file or folder"))
    if problems:
        raise CaseError(problems)
    return found


def load_cases(paths: Sequence[Path]) -> list[Case]:
    """The cases of all files, in order. Raises `CaseError` naming everything that is wrong in any of them."""
    problems: list[Problem] = []
    cases: list[Case] = []
    for path in paths:
        cases += _load_file(path, problems)
    seen: dict[str, str] = {}
    for case in cases:
        if case.id in seen:
            problems.append(_problem(case.where, "id", f"duplicate id {case.id!r}, first used at {seen[case.id]}"))
        seen.setdefault(case.id, case.where)
    if problems:
        raise CaseError(problems)
    return cases


def digest(paths: Iterable[Path]) -> str:
    """SHA-256 of the files' contents, so that two runs can tell whether they tried the same cases."""
    total = hashlib.sha256()
    for path in paths:
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def _load_file(path: Path, problems: list[Problem]) -> list[Case]:
    file = _shown(path)
    try:
        document = parse(path)
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(file, None, "", f"cannot be read: {error}"))
        return []
    except json.JSONDecodeError as error:
        problems.append(Problem(file, error.lineno, "", f"not valid JSON: {error.msg}"))
        return []
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.context, error.problem) if part)
        problems.append(Problem(file, mark.line + 1 if mark else None, "", f"not valid YAML: {what}"))
        return []
    except (YAMLError, ValueError, RecursionError) as error:
        problems.append(Problem(file, None, "", f"not valid YAML: {str(error).splitlines()[0] or error!r}"))
        return []
    return _read_document(file, document, problems)


def parse(path: Path) -> Any:
    """A case file as ruamel's nested mappings and lists, which know their lines."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        json.loads(text)  # YAML is a superset of JSON and keeps the lines, but would accept more than JSON
        text = _SURROGATES.sub(lambda found: found[1] + json.loads(f'"{found[2]}"'), text.replace("\t", " "))
    return YAML(typ="rt", pure=True).load(text)


def _read_document(file: str, document: Any, problems: list[Problem]) -> list[Case]:
    def wrong(path: str, message: str, line: int | None = None) -> None:
        problems.append(Problem(file, line, path, message))

    if not isinstance(document, dict):
        wrong("", f"a case file is a mapping with the keys loss and cases, not {_kind(document)}", 1)
        return []
    for key in document:
        if key not in ("loss", "cases"):
            wrong(str(key), "unknown key; a case file has loss and cases", _line(document, [key]))
    loss = document.get("loss")
    if not isinstance(loss, str) or loss not in LOSSES:
        said = "missing" if loss is None else f"unknown loss {loss!r}"
        wrong("loss", f"{said}; the losses are {', '.join(LOSSES)}", _line(document, ["loss"]))
        return []
    listed = document.get("cases")
    if not isinstance(listed, list):
        wrong("cases", f"a list of cases is needed here, not {_kind(listed)}", _line(document, ["cases"]))
        return []
    cases = [_read_case(file, loss, document, i, problems) for i in range(len(listed))]
    return [case for case in cases if case is not None]


def _read_case(file: str, loss: str, document: Any, index: int, problems: list[Problem]) -> Case | None:
    entry, line = document["cases"][index], _line(document, ["cases", index])
    label = f"cases[{index}]"
    if not isinstance(entry, dict):
        problems.append(Problem(file, line, label, f"a case is a mapping, not {_kind(entry)}"))
        return None
    if isinstance(entry.get("id"), str):
        label = f"{loss}/{entry['id']}"
    case, faults = _build(loss, entry, f"{file}:{line}")
    for path, message in faults:
        problems.append(Problem(file, _line(entry, path) or line, _join(label, path), message))
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


def _line(document: Any, path: Sequence[Any]) -> int | None:
    """Line of the deepest part of `path` that the document knows, counted from 1."""
    line: int | None = None
    for part in path:
        marks = getattr(document, "lc", None)
        try:
            if marks is not None:
                position = marks.key(part) if isinstance(document, dict) else marks.item(part)
                line = position[0] + 1
            document = document[part]
        except (KeyError, IndexError, TypeError, AttributeError):
            break
    return line


def _problem(where: str, path: str, message: str) -> Problem:
    file, _, line = where.rpartition(":")
    return Problem(file, int(line), path, message)


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    for kind, name in ((dict, "a mapping"), (list, "a list"), (str, "text")):
        if isinstance(value, kind):
            return name
    return f"{type(value).__name__} {value!r}"


def _shown(path: Path) -> str:
    """`path` relative to the working directory when it lies below it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)

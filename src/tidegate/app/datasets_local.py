"""Datasets as files of the workspace: cases are added behind those that are there, and never twice."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tidegate.control.evals.growing.model import DrawnCase
from tidegate.control.evals.growing.redaction import Pattern, own_patterns, redacted
from tidegate.kernel.documents import check_yaml
from tidegate.kernel.errors import Invalid, NotFound
from tidegate.kernel.names import check_name

__all__ = ["Cleaned", "Grown", "clean_file", "dataset_file", "grow", "read_patterns"]

FOLDER = "datasets"
SUFFIX = ".jsonl"
ID_LETTERS = 12
_ENCODE = msgspec.json.Encoder(order="deterministic")


class Grown(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset that has grown: how many cases were added, how many were there already, what the patterns of one's own
    took out, how many cases it has now, and its SHA-256.
    """

    file: str
    added: int
    known: int
    redactions: dict[str, int]
    cases: int
    sha256: str


class Cleaned(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset without what was found in it."""

    file: str
    cases: int
    redactions: dict[str, int]
    sha256: str


def dataset_file(name: str, workspace: Path) -> Path:
    """The file that is meant: a path that ends in .jsonl, or NAME for datasets/NAME.jsonl of the workspace."""
    if name.endswith(SUFFIX):
        return Path(name)
    return workspace / FOLDER / f"{check_name('dataset', name)}{SUFFIX}"


def read_patterns(file: Path | None) -> tuple[Pattern, ...]:
    """Patterns of one's own: YAML, `name: regular expression`. Raises NotFound, InvalidDocument, and Invalid."""
    if file is None:
        return ()
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise NotFound("file", str(file), mend="Write NAME: PATTERN, a line each.") from error
    document, faults = check_yaml(text, file.name)
    if document is None:
        raise faults[0]
    if not isinstance(document.value, Mapping) or not all(isinstance(one, str) for one in document.value.values()):
        raise Invalid(
            f"{file.name} holds no patterns.", mend='Write NAME: "PATTERN", a line each.', code="bad_redaction"
        )
    return own_patterns({str(name): str(one) for name, one in document.value.items()})


def grow(file: Path, drawn: Sequence[DrawnCase], own: Sequence[Pattern] = (), *, expected: bool = False) -> Grown:
    """Add the cases that the file does not have, oldest first; what is in it is not touched. `expected`: the answer is
    what is expected of later ones, too (it must have been drawn). Raises Invalid for a file that is no dataset.
    """
    known = _keys_in(file)
    redactions: dict[str, int] = {}
    lines: list[bytes] = []
    there = 0
    for one in sorted(drawn, key=lambda one: (one.at_ms, one.call_id)):
        found = redacted(_case_of(one, expected=expected), own)
        key = _key(found.value)
        if key in known:
            there += 1
            continue
        known.add(key)
        for kind, count in found.counts.items():
            redactions[kind] = redactions.get(kind, 0) + count
        lines.append(_ENCODE.encode({"id": f"call-{key[:ID_LETTERS]}", **found.value}))
    if lines:
        _append(file, lines)
    data = file.read_bytes() if file.exists() else b""
    return Grown(
        file=str(file),
        added=len(lines),
        known=there,
        redactions=redactions,
        cases=sum(1 for line in data.splitlines() if line.strip()),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def clean_file(file: Path, out: Path, own: Sequence[Pattern] = ()) -> Cleaned:
    """Write a dataset anew without what the patterns find in its cases; ids stay. Raises NotFound, and Invalid for a
    line that is none.
    """
    redactions: dict[str, int] = {}
    lines = []
    for line in _lines(file):
        found = redacted({name: value for name, value in line.items() if name != "id"}, own)
        for kind, count in found.counts.items():
            redactions[kind] = redactions.get(kind, 0) + count
        lines.append(_ENCODE.encode({**({"id": line["id"]} if "id" in line else {}), **found.value}))
    data = b"".join(line + b"\n" for line in lines)
    draft = out.with_suffix(f".{os.getpid()}.draft")
    draft.write_bytes(data)
    draft.replace(out)
    return Cleaned(file=str(out), cases=len(lines), redactions=redactions, sha256=hashlib.sha256(data).hexdigest())


def _case_of(one: DrawnCase, *, expected: bool) -> dict[str, Any]:
    tags = {"source": "call", "call": one.call_id, "environment": one.environment}
    if one.prompt is not None:
        tags["prompt"] = f"{one.prompt}@{one.version}"
    tags |= {f"score.{name}": f"{value:g}" for name, value in one.scores.items()}
    case: dict[str, Any] = {"variables": one.variables if one.variables is not None else {"messages": one.messages}}
    if one.given is not None:
        case["context"] = one.given
    if expected and one.answer is not None:
        case["expected"] = one.answer
    return {**case, "tags": tags}


def _key(case: Mapping[str, Any]) -> str:
    """What makes two cases the same: what is asked, and what is expected of it."""
    said = {"variables": case.get("variables") or {}, "expected": case.get("expected")}
    return hashlib.sha256(_ENCODE.encode(said)).hexdigest()


def _keys_in(file: Path) -> set[str]:
    return {_key(line) for line in _lines(file)} if file.exists() else set()


def _lines(file: Path) -> list[dict[str, Any]]:
    try:
        text = file.read_bytes()
    except OSError as error:
        raise NotFound("dataset", str(file), mend="Name a .jsonl file, or a dataset of the workspace.") from error
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found.append(msgspec.json.decode(line, type=dict[str, Any]))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Invalid(
                f"{file.name}, line {number} is no case: {error}.",
                mend="Each line is one JSON object; see docs/reference/datasets.md.",
                code="invalid_dataset",
            ) from error
    return found


def _append(file: Path, lines: Sequence[bytes]) -> None:
    """Behind what is there, in one write, so that a kill leaves at most the last line torn."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab+") as out:
        if out.tell():
            out.seek(-1, os.SEEK_END)
            torn = out.read(1) != b"\n"
            out.write((b"\n" if torn else b"") + b"".join(line + b"\n" for line in lines))
        else:
            out.write(b"".join(line + b"\n" for line in lines))
        out.flush()
        os.fsync(out.fileno())

"""Datasets: JSON Lines (a case a line) or CSV, read as a stream. A dataset of any size takes the memory of one case and
eight bytes for each id.
"""

import csv
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import msgspec

from tidegate.control.evals.model import Case
from tidegate.kernel.errors import Invalid, InvalidDocument, NotFound, TidegateError

__all__ = ["MAX_LINE_BYTES", "Survey", "check_sha256", "read_cases", "survey"]

MAX_LINE_BYTES = 16 << 20
MAX_ID = 200
FAULTS_SHOWN = 20
BOM = b"\xef\xbb\xbf"
FIELDS = ("id", "variables", "expected", "context", "checks", "tags")
ELSEWHERE = MappingProxyType(
    {
        "vars": "variables",
        "input": "variables",
        "inputs": "variables",
        "target": "expected",
        "expected_output": "expected",
        "reference": "expected",
        "assert": "checks",
        "metadata": "tags",
    }
)
"""What other tools call our fields."""


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What a dataset holds: how many cases, the SHA-256 of its bytes, and how many different checks of cases."""

    cases: int
    sha256: str
    checks: int = 0


class _Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line as it is written."""

    variables: dict[str, Any] = {}
    id: str | int | None = None
    expected: Any = None
    context: str | list[str] | None = None
    checks: list[dict[str, Any]] = []
    tags: dict[str, str] = {}


_LINE = msgspec.json.Decoder(_Line)
_SORTED = msgspec.json.Encoder(order="sorted")


def survey(file: Path, fits: Callable[[Mapping[str, Any]], object] | None = None) -> Survey:
    """Read a dataset once, to its end; `fits` is called with each different check of its cases, and raises what is
    wrong with it. Raises NotFound, InvalidDocument for one fault, and Invalid (`invalid_dataset`) whose message has a
    line for each of several.
    """
    faults: list[InvalidDocument] = []
    seen: dict[int, int] = {}
    checks: set[bytes] = set()
    count = 0
    digest = hashlib.sha256()
    for case in _read(file, faults.append, digest.update):
        count += 1
        known = seen.setdefault(_short(case.id), case.line)
        if known != case.line:
            faults.append(_twice(file, case, known))
        for check in case.checks:
            word = _SORTED.encode(check)
            if word in checks:
                continue
            checks.add(word)
            try:
                if fits is not None:
                    fits(check)
            except TidegateError as error:
                faults.append(_unfit(file, case, error))
        if len(faults) > FAULTS_SHOWN:
            break
    if faults:
        raise _all(file, faults)
    if not count:
        raise InvalidDocument("There is no case in it.", file=file.name, mend='Write {"id": ..., "variables": {...}}.')
    return Survey(cases=count, sha256=digest.hexdigest(), checks=len(checks))


def read_cases(file: Path) -> Iterator[Case]:
    """The cases in order. Raises as `survey`, at the first fault."""

    def refuse(fault: InvalidDocument) -> None:
        raise fault

    return _read(file, refuse, lambda _: None)


def check_sha256(file: Path, found: str, wanted: str | None) -> None:
    """Raises Invalid when a dataset is not the one that a prompt file names by its SHA-256."""
    if wanted is not None and wanted != found:
        raise Invalid(
            f"{file.name} is not the dataset that the prompt was written with: its SHA-256 is {found}, and "
            f"tests.golden.sha256 is {wanted}.",
            mend="Bring that file back, or write the new SHA-256 into a new version of the prompt.",
            code="dataset_changed",
        )


def _read(file: Path, refuse: Callable[[InvalidDocument], None], seen: Callable[[bytes], None]) -> Iterator[Case]:
    try:
        stream = file.open("rb")
    except OSError as error:
        mend = "Name a .jsonl or .csv file; see docs/reference/datasets.md."
        raise NotFound("dataset", str(file), mend=mend) from error
    with stream:
        reader = _csv if file.suffix.lower() == ".csv" else _jsonl
        yield from reader(file, stream, refuse, seen)


def _jsonl(
    file: Path, stream: IO[bytes], refuse: Callable[[InvalidDocument], None], seen: Callable[[bytes], None]
) -> Iterator[Case]:
    number = 0
    while data := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        seen(data)
        if len(data) > MAX_LINE_BYTES:
            message = f"The line is over {MAX_LINE_BYTES >> 20} MiB."
            refuse(InvalidDocument(message, file=file.name, line=number, mend="Name long texts by reference."))
            return
        text = data.removeprefix(BOM) if number == 1 else data
        if not text.strip():
            continue
        try:
            line = _LINE.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            refuse(_unreadable(file, number, str(error)))
            continue
        fault = _odd(line, file, number)
        if fault is not None:
            refuse(fault)
            continue
        yield _case(line, number)


def _csv(
    file: Path, stream: IO[bytes], refuse: Callable[[InvalidDocument], None], seen: Callable[[bytes], None]
) -> Iterator[Case]:
    """A header, then a case a row: `id`, `expected`, `context` and `tags.NAME`; every other column is a variable, as
    text, or with a name that ends in `:=` as JSON.
    """

    def lines() -> Iterator[str]:
        for number, data in enumerate(stream):
            seen(data)
            yield (data.removeprefix(BOM) if number == 0 else data).decode("utf-8")

    rows = csv.DictReader(lines(), restkey="", strict=True)
    try:
        for row in rows:
            number = rows.line_num
            if "" in row or None in row.values():
                message = "The row does not have as many cells as the header."
                refuse(InvalidDocument(message, file=file.name, line=number, mend="Put cells with commas in quotes."))
                continue
            try:
                line = _row(row)
            except msgspec.DecodeError as error:
                refuse(_unreadable(file, number, str(error)))
                continue
            fault = _odd(line, file, number)
            if fault is not None:
                refuse(fault)
                continue
            yield _case(line, number)
    except (csv.Error, UnicodeDecodeError) as error:
        refuse(_unreadable(file, rows.line_num, str(error)))


def _row(row: dict[str, str]) -> _Line:
    tags = {name.removeprefix("tags."): text for name, text in row.items() if name.startswith("tags.") and text}
    taken = {name: row[name] for name in ("id", "expected", "context") if row.get(name)}
    variables: dict[str, Any] = {}
    for name, text in row.items():
        if name in ("id", "expected", "context") or name.startswith("tags."):
            continue
        if not name.endswith(":="):
            variables[name] = text
        elif text:
            variables[name[:-2]] = msgspec.json.decode(text)
    return _Line(
        variables=variables, id=taken.get("id"), expected=taken.get("expected"), context=taken.get("context"), tags=tags
    )


def _case(line: _Line, number: int) -> Case:
    name = str(line.id) if line.id is not None else _name_of(line)
    context = "\n\n".join(line.context) if isinstance(line.context, list) else line.context
    return Case(
        id=name,
        variables=line.variables,
        expected=line.expected,
        context=context,
        checks=tuple(line.checks),
        tags=line.tags,
        line=number,
    )


def _name_of(line: _Line) -> str:
    """A case without an id is named by its variables, so that it stays the same when lines are moved."""
    return f"case-{hashlib.sha256(_SORTED.encode(line.variables)).hexdigest()[:12]}"


def _odd(line: _Line, file: Path, number: int) -> InvalidDocument | None:
    name = line.id
    if isinstance(name, str) and (not name or len(name) > MAX_ID or not name.isprintable()):
        return InvalidDocument(
            f"The id {name[:40]!r} is no name.", file=file.name, line=number,
            mend=f"Use 1 to {MAX_ID} characters on one line.", code="invalid_dataset",
        )  # fmt: skip
    return None


def _unreadable(file: Path, number: int, why: str) -> InvalidDocument:
    mend = 'Write one JSON object a line: {"id": "a", "variables": {"question": "..."}, "expected": "..."}.'
    if "unknown field" in why:
        name = why.split("`")[1]
        meant = ELSEWHERE.get(name)
        message = f"A case has no field {name!r}."
        mend = (
            f"Call it `{meant}`." if meant else f"A case has {', '.join(FIELDS)}; a prompt's own go into `variables`."
        )
    else:
        message = f"The line cannot be read: {why.rstrip('.')}."
    return InvalidDocument(message, file=file.name, line=number, mend=mend, code="invalid_dataset")


def _twice(file: Path, case: Case, first: int) -> InvalidDocument:
    named = not case.id.startswith("case-")
    message = f"The id {case.id!r} is that of line {first}." if named else f"The case is that of line {first}."
    mend = "Give each case an id of its own."
    return InvalidDocument(message, file=file.name, line=case.line, mend=mend, code="invalid_dataset")


def _unfit(file: Path, case: Case, error: TidegateError) -> InvalidDocument:
    message = f"A check of {case.id!r} is wrong: {error.message}"
    return InvalidDocument(message, file=file.name, line=case.line, mend=error.mend, code=error.code)


def _all(file: Path, faults: list[InvalidDocument]) -> InvalidDocument | Invalid:
    if len(faults) == 1:
        return faults[0]
    shown = faults[:FAULTS_SHOWN]
    more = "\n  ..." if len(faults) > len(shown) else ""
    lines = "".join(f"\n  {fault}" for fault in shown)
    count = f"more than {FAULTS_SHOWN}" if more else str(len(faults))
    return Invalid(f"{file.name} has {count} faults:{lines}{more}", mend="Nothing was asked.", code="invalid_dataset")


def _short(name: str) -> int:
    """Eight bytes that stand for an id: two of a million ids are taken for one with a chance of 3 in 100 million."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")

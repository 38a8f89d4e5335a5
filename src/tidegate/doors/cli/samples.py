"""What `tidegate stats` is given: counts and samples on the command line, rows in a file."""

import csv
import io
import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tidegate.doors.cli.output import clean
from tidegate.doors.cli.parquet import rows_of_parquet
from tidegate.kernel.errors import Invalid, NotFound
from tidegate.stats.checks import BadSample
from tidegate.stats.results import Proportion, Sample

__all__ = [
    "COUNTS",
    "MEANS",
    "Arm",
    "Source",
    "arms_in",
    "heard",
    "numbers",
    "proportion",
    "rows_in",
    "sample",
    "two_arms",
]

PARQUET = (".parquet", ".pq")
YES, NO = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")
CONTROL = "control"
COUNTS = "Write successes/units, such as 90/1000."
FILES = "Name a CSV, JSONL or Parquet file."
MEANS = "Write mean/sd/units, such as 10.2/3.1/400."


@dataclass(frozen=True, slots=True)
class Source:
    """A file of rows and the columns that count; `unit` and `metric` are None where none was named."""

    file: Path
    arm: str
    metric: str | None = None
    unit: str | None = None
    control: str | None = None

    @property
    def columns(self) -> list[str]:
        """The columns that count."""
        return [name for name in (self.arm, self.metric, self.unit) if name is not None]


@dataclass(slots=True)
class Arm:
    """One arm of a file: its rows' values, the units they are of (None without a column), and rows without a value."""

    name: str
    values: list[float] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    rows: int = 0
    left_out: int = 0

    def totals(self) -> tuple[list[float], list[float]]:
        """The sum of the values, and their number, of each unit."""
        sums: dict[str, float] = {}
        sizes: dict[str, float] = {}
        for unit, value in zip(self.units, self.values, strict=True):
            sums[unit] = sums.get(unit, 0.0) + value
            sizes[unit] = sizes.get(unit, 0.0) + 1
        return list(sums.values()), list(sizes.values())


@contextmanager
def heard(mend: str, what: str = "") -> Iterator[None]:
    """Let what the statistics refuse come out as an error of the command line, with code `bad_sample`."""
    try:
        yield
    except BadSample as error:
        raise Invalid(f"{what}: {error}." if what else f"{error}.", mend=mend, code="bad_sample") from error


def numbers(text: str, count: int | None, mend: str) -> list[float]:
    """The numbers of `90/1000`; raises Invalid for another count of them, or for what is no number."""
    parts = text.split("/")
    try:
        found = [float(part) for part in parts]
    except ValueError as error:
        raise Invalid(f"{text!r} holds what is no number.", mend=mend, code="bad_sample") from error
    if count is not None and len(found) != count:
        said = f"{text!r} has {len(found)} {'number' if len(found) == 1 else 'numbers'}, not {count}."
        raise Invalid(said, mend=mend, code="bad_sample")
    return found


def proportion(text: str) -> Proportion:
    """`successes/units`; raises Invalid."""
    with heard(COUNTS, repr(text)):
        return Proportion(*numbers(text, 2, COUNTS))


def sample(text: str) -> Sample:
    """`mean/sd/units`; raises Invalid."""
    with heard(MEANS, repr(text)):
        return Sample(*numbers(text, 3, MEANS))


def rows_in(file: Path, columns: Collection[str]) -> list[Mapping[str, Any]]:
    """The rows of a CSV file with a head, of a JSONL file with one object a line, or of a Parquet file, of which only
    `columns` are read; raises Invalid or NotFound.
    """
    if file.suffix.lower() in PARQUET:
        return _checked(file, rows_of_parquet(file, columns))
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise NotFound("file", str(file), mend=FILES) from error
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} cannot be read: {error}.", mend=FILES, code="bad_file") from error
    if text.lstrip().startswith("["):
        said = f"{file} is one JSON array."
        raise Invalid(said, mend=f"Write one object a line: jq -c '.[]' {file}.", code="bad_file")
    return _checked(file, list(_objects(file, text) if text.lstrip().startswith("{") else _lines(file, text)))


def _checked(file: Path, found: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    if not found:
        raise Invalid(f"{file} has no rows.", mend="Name a file with a row a unit or call.", code="bad_file")
    return found


def arms_in(source: Source, *, rates: bool = False) -> list[Arm]:
    """The arms of a file, the control first: the one that was named, else `control`, else the first in the file.

    With `rates` each value must be yes or no. Rows whose value is empty are left out and counted. Raises Invalid for
    values that are no numbers and for a unit that is in two arms.
    """
    arms: dict[str, Arm] = {}
    homes: dict[str, str] = {}
    for place, row in enumerate(rows_in(source.file, source.columns), start=1):
        name = _cell(source.file, row, source.arm)
        if not name:
            raise Invalid(f"{source.file}: row {place} names no arm.", mend="Leave such rows out.", code="bad_file")
        arm = arms.setdefault(name, Arm(name))
        value = _value(source, row, place, rates)
        if value is None:
            arm.left_out += 1
            continue
        arm.rows += 1
        arm.values.append(value)
        if source.unit is None:
            continue
        unit = _cell(source.file, row, source.unit)
        if homes.setdefault(unit, name) != name:
            said = f"{source.file}: {source.unit} {unit!r} is in {homes[unit]!r} and in {name!r}."
            raise Invalid(said, mend="Each unit belongs to one arm: mend the assignment.", code="unit_in_two_arms")
        arm.units.append(unit)
    first = source.control or (CONTROL if CONTROL in arms else next(iter(arms)))
    if first not in arms:
        raise NotFound("arm", first, known=list(arms))
    return [arms[first], *(arm for name, arm in arms.items() if name != first)]


def two_arms(source: Source, *, rates: bool = False) -> tuple[Arm, Arm]:
    """The control and the treatment; raises Invalid unless there are exactly two arms."""
    arms = arms_in(source, rates=rates)
    if len(arms) != 2:
        names = ", ".join(clean(arm.name) for arm in arms[:5])
        said = f"Column {source.arm!r} has {len(arms)} {'arm' if len(arms) == 1 else 'arms'} ({names}), not 2."
        raise Invalid(said, mend="Compare two at a time: leave the rows of the others out.", code="bad_sample")
    return arms[0], arms[1]


def _objects(file: Path, text: str) -> Iterator[Mapping[str, Any]]:
    for place, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            said = f"{file}: line {place} is no JSON: {error}."
            raise Invalid(said, mend="Write one object a line.", code="bad_file") from error
        if not isinstance(row, dict):
            raise Invalid(f"{file}: line {place} is no object.", mend="Write one object a line.", code="bad_file")
        yield row


def _lines(file: Path, text: str) -> Iterator[Mapping[str, Any]]:
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        for row in reader:
            if None in row or None in row.values():
                said = f"{file}: line {reader.line_num} has not as many cells as the head."
                raise Invalid(said, mend="Write a CSV file with a head and commas between cells.", code="bad_file")
            yield row
    except csv.Error as error:
        raise Invalid(f"{file} is no CSV: {error}.", mend=FILES, code="bad_file") from error


def _cell(file: Path, row: Mapping[str, Any], column: str) -> str:
    """What a row has in a column, as text; raises NotFound."""
    if column not in row:
        raise NotFound("column", column, known=_names(row), mend=f"{file} has: {', '.join(_names(row))}.")
    found = row[column]
    return "" if found is None else str(found).strip()


def _names(row: Mapping[str, Any]) -> Sequence[str]:
    return [str(name) for name in row]


def _value(source: Source, row: Mapping[str, Any], place: int, rates: bool) -> float | None:
    """The metric of a row; None where it has none, 1 where no metric is asked for."""
    if source.metric is None:
        return 1.0
    text = _cell(source.file, row, source.metric).lower()
    if not text or text in ("nan", "null"):
        return None
    if text in ("true", "false") or rates:
        if text in YES or text in NO:
            return float(text in YES)
        mend = "A rate is of 0 and 1, or true and false; for other numbers: `tidegate stats means`."
        raise Invalid(_odd(source, place, text, "neither yes nor no"), mend=mend, code="bad_sample")
    try:
        found = float(text)
    except ValueError:
        found = math.inf
    if not math.isfinite(found):
        raise Invalid(_odd(source, place, text, "no number"), mend="Leave such rows out.", code="bad_sample")
    return found


def _odd(source: Source, place: int, text: str, what: str) -> str:
    return f"{source.file}: row {place} has {text!r} as {source.metric}, which is {what}."

"""`tidegate stats` from a Parquet file: a real one, as pyarrow writes it."""

import sys
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from tests.doors.cli.calculators import Calculator, calls

OF = ("--arm", "variant", "--metric", "value")


def parquet(folder: Path, columns: dict[str, Any]) -> str:
    file = folder / "calls.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), file, row_group_size=64)
    return str(file)


def of_rows(folder: Path, rows: list[tuple[str, str, object]]) -> str:
    variant, user, value = (list(column) for column in zip(*rows, strict=True))
    return parquet(folder, {"variant": variant, "user": user, "value": value, "tokens": [[1, 2]] * len(rows)})


def test_a_parquet_file_says_what_a_csv_file_of_the_same_rows_says(stats: Calculator, tmp_path: Path) -> None:
    rows: list[tuple[str, str, object]] = [("new", f"n{i}", i < 24) for i in range(200)]
    rows += [("control", f"c{i % 150}", i < 18) for i in range(200)]
    rows.append(("new", "n200", None))
    file, csv = of_rows(tmp_path, rows), calls(tmp_path, rows)
    for words in (("proportions", *OF), ("proportions", *OF, "--unit", "user"), ("bayes", *OF)):
        assert stats.json(words[0], "--file", file, *words[1:]) == stats.json(words[0], "--file", csv, *words[1:])
    srm = ("srm", "--arm", "variant", "--unit", "user", "--file")
    assert stats.json(*srm, file) == stats.json(*srm, csv)


def test_numbers_of_any_type_are_means(stats: Calculator, tmp_path: Path) -> None:
    arms = pyarrow.array(["control", "new"] * 50).dictionary_encode()
    for values in (pyarrow.array(range(100), pyarrow.int16()), pyarrow.array([i / 3 for i in range(100)])):
        found = stats.json("means", "--file", parquet(tmp_path, {"variant": arms, "value": values}), *OF)
        assert found["difference"] == pytest.approx(values[1].as_py() - values[0].as_py())


def test_windows_come_from_a_parquet_file(stats: Calculator, tmp_path: Path) -> None:
    windows = {
        "events_control": [9, 8],
        "units_control": [950, 750],
        "events_treatment": [1, 9],
        "units_treatment": [50, 250],
    }
    found = stats.json("sequential", "--file", parquet(tmp_path, windows))
    assert found == stats.json("sequential", "9/950:1/50", "8/750:9/250")


def test_what_is_missing_or_no_parquet_is_named(stats: Calculator, tmp_path: Path) -> None:
    file = parquet(tmp_path, {"variant": ["a", "b"], "score": [1, 2]})
    assert "There is no column named 'value'." in stats.refused("means", "--file", file, *OF)
    empty = parquet(
        tmp_path, {"variant": pyarrow.array([], pyarrow.string()), "value": pyarrow.array([], pyarrow.int8())}
    )
    assert "has no rows." in stats.refused("means", "--file", empty, *OF)
    (tmp_path / "other.parquet").write_text("PAR1")
    assert "other.parquet cannot be read: " in stats.refused("means", "--file", "other.parquet", *OF)
    assert "There is no file named 'none.pq'." in stats.refused("means", "--file", "none.pq", *OF)


def test_without_pyarrow_the_mend_is_told(stats: Calculator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = parquet(tmp_path, {"variant": ["a", "b"], "value": [1, 2]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    said = stats.refused("means", "--file", file, *OF)
    assert "is a Parquet file, and what reads it is not installed." in said
    assert "pip install 'tidegate[parquet]'" in said

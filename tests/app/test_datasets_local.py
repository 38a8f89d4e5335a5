"""Datasets as files: cases come behind those that are there, each once, without what points to a person."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tidegate.app.datasets_local import clean_file, dataset_file, grow, read_patterns
from tidegate.control.evals.dataset import read_cases, survey
from tidegate.control.evals.growing.model import DrawnCase
from tidegate.kernel.errors import Invalid, NotFound


def drawn(number: int, **fields: Any) -> DrawnCase:
    given: dict[str, Any] = {
        "call_id": f"call_{number}",
        "at_ms": number,
        "environment": "production",
        "prompt": "faq",
        "version": "1.0.0",
        "variables": {"question": f"question {number}"},
    }
    return DrawnCase(**(given | fields))


def test_cases_come_oldest_first_behind_those_that_are_there_and_each_once(tmp_path: Path) -> None:
    file = tmp_path / "golden.jsonl"
    file.write_text('{"id": "own", "variables": {"question": "question 1"}}')  # no line's end: it is not torn
    grown = grow(file, [drawn(3), drawn(1), drawn(2), drawn(4, variables={"question": "question 2"})])
    assert (grown.added, grown.known, grown.cases) == (2, 2, 3)
    assert [one.variables["question"] for one in read_cases(file)] == [f"question {n}" for n in (1, 2, 3)]
    assert survey(file).sha256 == grown.sha256
    assert grow(file, [drawn(2), drawn(3)]).added == 0


def test_a_case_says_where_it_is_from_and_what_is_expected_only_when_asked(tmp_path: Path) -> None:
    file = tmp_path / "golden.jsonl"
    grow(file, [drawn(1, answer="It left.", scores={"faithfulness": 0.25})])
    (one,) = read_cases(file)
    assert one.expected is None
    assert one.tags == {
        "source": "call", "call": "call_1", "environment": "production", "prompt": "faq@1.0.0",
        "score.faithfulness": "0.25",
    }  # fmt: skip
    grow(file, [drawn(1, answer="It left.")], expected=True)
    assert [one.expected for one in read_cases(file)] == [None, "It left."]


def test_without_variables_the_messages_are_the_case(tmp_path: Path) -> None:
    file = tmp_path / "golden.jsonl"
    said = ({"role": "user", "content": "Hi"},)
    grow(file, [drawn(1, variables=None, messages=said, given="Hi")])
    (one,) = read_cases(file)
    assert (one.variables, one.context) == ({"messages": list(said)}, "Hi")


def test_patterns_of_ones_own_are_taken_out_too_and_counted(tmp_path: Path) -> None:
    patterns = tmp_path / "own.yaml"
    patterns.write_text('customer: "C-[0-9]{6}"\n')
    file = tmp_path / "golden.jsonl"
    grown = grow(file, [drawn(1, variables={"q": "C-123456 writes"})], read_patterns(patterns))
    assert grown.redactions == {"customer": 1}
    assert [one.variables for one in read_cases(file)] == [{"q": "[CUSTOMER] writes"}]


def test_a_dataset_is_cleaned_in_place_and_ids_stay(tmp_path: Path) -> None:
    file = tmp_path / "old.jsonl"
    file.write_text('{"id": "a@x.org", "variables": {"q": "from a@x.org"}, "expected": ["a@x.org"]}\n\n')
    cleaned = clean_file(file, file)
    assert (cleaned.cases, cleaned.redactions) == (1, {"email": 2})
    assert msgspec.json.decode(file.read_bytes()) == {
        "id": "a@x.org", "variables": {"q": "from [EMAIL]"}, "expected": ["[EMAIL]"],
    }  # fmt: skip


def test_what_is_no_dataset_and_no_pattern_is_told(tmp_path: Path) -> None:
    assert dataset_file("golden", tmp_path) == tmp_path / "datasets" / "golden.jsonl"
    assert dataset_file("x/y.jsonl", tmp_path) == Path("x/y.jsonl")
    bad = tmp_path / "bad.jsonl"
    bad.write_text("{}\nnothing\n")
    with pytest.raises(Invalid, match="line 2"):
        grow(bad, [drawn(1)])
    assert bad.read_text() == "{}\nnothing\n"
    with pytest.raises(NotFound):
        clean_file(tmp_path / "none.jsonl", tmp_path / "none.jsonl")
    with pytest.raises(NotFound):
        read_patterns(tmp_path / "none.yaml")
    lists = tmp_path / "lists.yaml"
    lists.write_text("- a\n")
    with pytest.raises(Invalid):
        read_patterns(lists)

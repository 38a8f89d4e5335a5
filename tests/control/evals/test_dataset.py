"""Datasets: streamed, and every fault named with its line and a mend."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.control.evals.dataset import MAX_LINE_BYTES, check_sha256, read_cases, survey
from tidegate.kernel.errors import Invalid, InvalidDocument, NotFound


def written(folder: Path, *lines: str, name: str = "d.jsonl") -> Path:
    file = folder / name
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_every_field_of_a_case_is_read(tmp_path: Path) -> None:
    line = {
        "id": "a", "variables": {"question": "Why?", "n": 2}, "expected": ["x"], "context": ["one", "two"],
        "checks": [{"contains": "x"}], "tags": {"topic": "t"},
    }  # fmt: skip
    file = written(tmp_path, json.dumps(line), "", '{"id": 7, "variables": {}}')
    first, second = read_cases(file)
    assert (first.id, first.variables, first.expected) == ("a", {"question": "Why?", "n": 2}, ["x"])
    assert (first.context, first.checks, first.tags, first.line) == (
        "one\n\ntwo", ({"contains": "x"},), {"topic": "t"}, 1,
    )  # fmt: skip
    assert (second.id, second.line) == ("7", 3)
    found = survey(file)
    assert (found.cases, found.sha256) == (2, hashlib.sha256(file.read_bytes()).hexdigest())


def test_a_byte_order_mark_and_a_missing_last_line_end_do_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "d.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"id": "a"}\n{"id": "b"}')
    assert [case.id for case in read_cases(file)] == ["a", "b"]
    assert survey(file).cases == 2


def test_a_case_without_an_id_keeps_its_name_when_lines_move(tmp_path: Path) -> None:
    one, two = '{"variables": {"q": "1"}}', '{"variables": {"q": "2"}}'
    names = [case.id for case in read_cases(written(tmp_path, one, two))]
    assert [case.id for case in read_cases(written(tmp_path, two, one))] == names[::-1]


@pytest.mark.parametrize(
    ("line", "says", "mend"),
    [
        ("{", "cannot be read", "one JSON object a line"),
        ("[1]", "Expected `object`", "one JSON object a line"),
        ('{"id": "a", "vars": {}}', "no field 'vars'", "Call it `variables`"),
        ('{"id": "a", "question": "x"}', "no field 'question'", "go into `variables`"),
        ('{"id": "", "variables": {}}', "is no name", "1 to 200"),
        ('{"id": "a\\nb"}', "is no name", "on one line"),
        ('{"id": "a", "variables": [1]}', "`$.variables`", "one JSON object"),
        ('{"id": "a", "variables": {"x": NaN}}', "cannot be read", "one JSON object"),
    ],
)
def test_a_fault_is_told_with_its_line_and_a_mend(tmp_path: Path, line: str, says: str, mend: str) -> None:
    file = written(tmp_path, '{"id": "good"}', line)
    with pytest.raises(InvalidDocument) as caught:
        survey(file)
    fault = caught.value
    assert (fault.file, fault.line, fault.code) == ("d.jsonl", 2, "invalid_dataset")
    assert says in fault.message
    assert mend in fault.mend


def test_several_faults_are_told_at_once(tmp_path: Path) -> None:
    file = written(tmp_path, '{"id": "a"}', "{", '{"id": "a"}', '{"nme": 1}')
    with pytest.raises(Invalid) as caught:
        survey(file)
    message = str(caught.value)
    assert "3 faults" in message
    assert "d.jsonl:3: The id 'a' is that of line 1." in message
    assert "d.jsonl:4:" in message


def test_a_thousand_faults_are_not_listed(tmp_path: Path) -> None:
    file = written(tmp_path, *["{"] * 1000)
    with pytest.raises(Invalid) as caught:
        survey(file)
    assert "more than 20 faults" in str(caught.value)
    assert len(str(caught.value).splitlines()) < 25


def test_a_line_without_end_is_refused_before_it_is_in_memory(tmp_path: Path) -> None:
    file = tmp_path / "d.jsonl"
    file.write_bytes(b'{"id": "' + b"x" * (MAX_LINE_BYTES + 10))
    with pytest.raises(InvalidDocument, match="over 16 MiB"):
        survey(file)


def test_nothing_and_nowhere_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidDocument, match="no case"):
        survey(written(tmp_path, ""))
    with pytest.raises(NotFound) as caught:
        survey(tmp_path / "none.jsonl")
    assert caught.value.code == "dataset_not_found"


def test_a_golden_dataset_that_changed_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, '{"id": "a"}')
    found = survey(file).sha256
    check_sha256(file, found, found)
    check_sha256(file, found, None)
    with pytest.raises(Invalid) as caught:
        check_sha256(file, found, "0" * 64)
    assert caught.value.code == "dataset_changed"


class TestCsv:
    def test_columns_are_variables_but_for_four_names(self, tmp_path: Path) -> None:
        file = written(
            tmp_path, "id,question,n:=,expected,context,tags.topic", 'a,"Who, and why?",3,me,ctx,t', "b,x,,,,",
            name="d.csv",
        )  # fmt: skip
        first, second = read_cases(file)
        assert first.variables == {"question": "Who, and why?", "n": 3}
        assert (first.expected, first.context, first.tags, first.line) == ("me", "ctx", {"topic": "t"}, 2)
        assert (second.variables, second.expected, second.context) == ({"question": "x"}, None, None)

    @pytest.mark.parametrize(
        ("row", "says"), [("a,x,y", "as many cells"), ("a", "as many cells"), ('a,"x', "cannot be read")]
    )
    def test_faults_have_lines(self, tmp_path: Path, row: str, says: str) -> None:
        with pytest.raises(InvalidDocument, match=says) as caught:
            survey(written(tmp_path, "id,q", row, name="d.csv"))
        assert caught.value.line is not None

    def test_json_that_is_none_has_its_line(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidDocument, match="cannot be read") as caught:
            survey(written(tmp_path, "id,n:=", "a,1", "b,{", name="d.csv"))
        assert caught.value.line == 3


@given(
    st.lists(
        st.tuples(st.text(min_size=1, max_size=9).filter(str.isprintable), st.dictionaries(st.text(), st.integers())),
        min_size=1,
        unique_by=lambda pair: pair[0],
    )
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, dict[str, int]]]
) -> None:
    file = tmp_path_factory.mktemp("d") / "d.jsonl"
    file.write_text("".join(json.dumps({"id": name, "variables": values}) + "\n" for name, values in pairs))
    assert [(case.id, case.variables) for case in read_cases(file)] == pairs
    assert survey(file).cases == len(pairs)

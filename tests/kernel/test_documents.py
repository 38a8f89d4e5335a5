"""YAML as users write it, and as nobody should: values, places, surprises, bombs."""

import json
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tidegate.kernel.documents import MAX_BYTES, check_yaml, decode_text, read_yaml
from tidegate.kernel.errors import InvalidDocument
from tidegate.kernel.nodes import MAX_DEPTH, MAX_FAULTS

ANSWER_S = 2.0  # a bomb must be refused in a moment; the bound leaves room for a busy machine


def codes(text: str) -> list[str]:
    return [fault.code for fault in check_yaml(text, "f.yaml")[1]]


def test_values_are_those_of_json() -> None:
    text = """
    nothing: ~
    also: null
    yes_word: true
    whole: -42
    based: 0x1F
    fraction: [1.5, .5, 1.0e+3, 1.0E-1]
    text: [plain words, 'quo''ted', "esc\\n", 2026-11-24, "no", 1.2.0, http://a:1/b, "007"]
    tagged: !!str 5
    empty:
    """
    assert read_yaml(text, "f.yaml").value == {
        "nothing": None,
        "also": None,
        "yes_word": True,
        "whole": -42,
        "based": 31,
        "fraction": [1.5, 0.5, 1000.0, 0.1],
        "text": ["plain words", "quo'ted", "esc\n", "2026-11-24", "no", "1.2.0", "http://a:1/b", "007"],
        "tagged": "5",
        "empty": None,
    }


@pytest.mark.parametrize("text", ["", "# nothing but a comment", "---\n", "\n\n"])
def test_an_empty_file_is_null(text: str) -> None:
    assert read_yaml(text, "f.yaml").value is None


def test_every_value_knows_its_line() -> None:
    document = read_yaml("a:\n  b:\n    - x\n    - c: 1\n      d: 1.10\ntext: |\n  one\n\n  three\n", "f.yaml")
    assert document.line_of(()) == 1
    assert document.place_of(("a", "b")) == (2, 3)
    assert document.place_of(("a", "b", 1)) == (4, 7)
    assert document.place_of(("a", "b", 1, "d")) == (5, 7)
    assert document.line_of(("a", "b", 1, "nowhere", "deeper")) == 4
    assert document.written(("a", "b", 1, "d")) == "1.10"
    assert document.written(("a", "b")) == document.written(("nowhere",)) == ""
    assert document.text_place(("text",), 1) == (7, 3)
    assert document.text_place(("text",), 3) == (9, 3)


def test_the_line_of_a_folded_or_quoted_text_is_where_it_begins() -> None:
    document = read_yaml('a: >\n  one\n  two\nb: "x\\ny"\n', "f.yaml")
    assert document.text_place(("a",), 2)[0] == 1
    assert document.text_place(("b",), 2) == (4, 4)
    assert document.text_place(("nowhere",), 2) == (1, 1)


def test_an_alias_is_the_value_of_its_anchor() -> None:
    document = read_yaml("base: &b {x: 1}\ncopy: *b\nlist: [*b, *b]\n", "f.yaml")
    assert document.value == {"base": {"x": 1}, "copy": {"x": 1}, "list": [{"x": 1}, {"x": 1}]}
    assert document.line_of(("copy",)) == 2


@pytest.mark.parametrize(
    "word",
    [
        "yes",
        "No",
        "ON",
        "off",
        "010",
        "0b11",
        "1_000",
        "12:30",
        "1:20:30.5",
        "0_1",
        "-0777",
        "1_0.5",
        "0o17",
        "1e3",
        "0E0",
        "1.5e3",
        "-2e-7",
    ],
)
def test_a_word_that_yaml_readers_read_differently_is_refused_where_it_stands(word: str) -> None:
    document, faults = check_yaml(f"a: 1\nb: [{word}]\n", "f.yaml")
    assert [(fault.code, fault.line, fault.column) for fault in faults] == [("yaml_two_faced", 2, 5)]
    assert f'"{word}"' in faults[0].mend
    assert document is not None  # the rest can be checked all the same
    assert document.value == {"a": 1, "b": [word]}
    assert read_yaml(f'b: ["{word}"]', "f.yaml").value == {"b": [word]}


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("a: 1\na: 2\n", "yaml_duplicate_key", (2, 1)),
        ("a: .inf", "yaml_number", (1, 4)),
        ("a: -.INF", "yaml_number", (1, 4)),
        ("a: .nan", "yaml_number", (1, 4)),
        ("a: 1.0e+999", "yaml_number", (1, 4)),
        ("a: 9223372036854775808", "yaml_number", (1, 4)),
        ("a: " + "9" * 5000, "yaml_number", (1, 4)),
        ("a: 0x" + "f" * 100_000, "yaml_number", (1, 4)),
        ("1: a", "yaml_key", (1, 1)),
        ("true: a", "yaml_key", (1, 1)),
        ("<<: {a: 1}", "yaml_key", (1, 1)),
        ("[a]: b", "yaml_key", (1, 1)),
        ("? {a: 1}\n: b", "yaml_key", (1, 3)),
        ("&k a: 1", "yaml_key", (1, 1)),
        ("on: 1", "yaml_two_faced", (1, 1)),
        ("a: *nobody", "yaml_alias", (1, 4)),
        ("a: &a [*a]", "yaml_alias", (1, 8)),
        ("a: &a {b: *a}", "yaml_alias", (1, 11)),
        ("a: !!python/object/apply:os.system [echo]", "yaml_tag", (1, 4)),
        ("a: !!python/name:os.system", "yaml_tag", (1, 4)),
        ("a: !!binary aGk=", "yaml_tag", (1, 4)),
        ("a: !!set {x}", "yaml_tag", (1, 4)),
        ("a: !mine {}", "yaml_tag", (1, 4)),
        ("a: !!int 5", "yaml_tag", (1, 4)),
        ("a: 1\n---\nb: 2\n", "yaml_documents", (2, 1)),
        ("a: [1\nb: 2", "yaml_syntax", (2, 2)),
        ("a: 'open", "yaml_syntax", (1, 9)),
        ("\tb: 1", "yaml_syntax", (1, 1)),
        ("a: b: c", "yaml_syntax", (1, 5)),
        ("a: 1\nb: \x00", "yaml_syntax", (2, 4)),
        ("a: '\ud800'", "yaml_syntax", (1, 5)),
        ("%YAML 9.9\n---\na: 1", "yaml_syntax", (1, 1)),
    ],
)
def test_a_fault_has_its_code_its_place_and_its_mend(text: str, code: str, place: tuple[int, int]) -> None:
    _, faults = check_yaml(text, "f.yaml")
    assert [(fault.code, (fault.line, fault.column)) for fault in faults] == [(code, place)]
    assert faults[0].file == "f.yaml"
    assert faults[0].mend
    with pytest.raises(InvalidDocument) as raised:
        read_yaml(text, "f.yaml")
    assert raised.value.code == code


def test_all_faults_come_at_once() -> None:
    assert codes("a: no\nb: 010\nc: 1\nc: 2\n5: x\nd: .nan\n") == [
        "yaml_two_faced",
        "yaml_two_faced",
        "yaml_duplicate_key",
        "yaml_key",
        "yaml_number",
    ]


def test_faults_do_not_grow_without_end() -> None:
    assert len(codes("a: 1\n" * 10_000)) == MAX_FAULTS + 1


BOMBS = {
    "laughs": "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60)),
    "quadratic": "a: &a " + "x" * 500_000 + "\nb: [" + ", ".join(["*a"] * 10_000) + "]",
    "deep list": "[" * 200_000,
    "deep map": "{a: " * 100_000,
    "deep block": "\n".join("  " * depth + "a:" for depth in range(500)),
    "deep dashes": "- " * 100_000 + "a",
    "deep keys": "? " * 100_000,
    "huge scalar": "a: " + "x" * (MAX_BYTES + 1),
    "huge by bytes": "a: " + "é" * (MAX_BYTES // 2 + 1),
    "many items": "- a\n" * 250_000,
    "many keys": "".join(f"k{i}: 1\n" for i in range(80_000)),
    "many anchors": "".join(f"- &a{i} b\n" for i in range(60_000)),
    "long number": "a: " + "1" * 900_000,
    "open quote": "'" * 900_001,
    "colons": ":" * 900_000,
    "brackets and commas": "[," * 400_000,
    "tags": "!" * 900_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_a_moment(name: str) -> None:
    began = time.perf_counter()
    document, faults = check_yaml(BOMBS[name], "f.yaml")
    assert time.perf_counter() - began < ANSWER_S
    assert document is None or faults
    assert all(fault.code.startswith("yaml_") for fault in faults)
    assert all(len(str(fault)) < 1000 for fault in faults)


def test_depth_up_to_the_bound_is_fine() -> None:
    assert codes("[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)) == []
    assert codes("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)) == ["yaml_too_deep"]


def test_windows_line_ends_and_a_byte_order_mark_change_nothing() -> None:
    unix = "a: |\n  one\n  two\nb: 'x\n\n  y'\n"
    windows = unix.replace("\n", "\r\n")
    assert read_yaml(windows, "f").value == read_yaml(unix, "f").value
    assert decode_text(b"\xef\xbb\xbf" + windows.encode(), "f") == unix


def test_bytes_that_are_not_utf8_are_told_with_their_place() -> None:
    with pytest.raises(InvalidDocument) as raised:
        decode_text("a: ok\nb: caf\xe9\n".encode("latin-1"), "f.yaml")
    assert (raised.value.code, raised.value.line, raised.value.column) == ("not_utf8", 2, 7)
    assert "0xe9" in raised.value.message
    with pytest.raises(InvalidDocument):
        decode_text("a: 1".encode("utf-16"), "f.yaml")


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(plain)
def test_what_json_says_is_read_as_json_reads_it(value: object) -> None:
    """JSON with its letters escaped is YAML: the parser reads what was written, whatever it is."""
    text = json.dumps(value, ensure_ascii=True)
    document, faults = check_yaml(text, "f.json")
    if faults:  # JSON may say what YAML cannot (halves of surrogates), or reads differently (1e-07)
        assert {fault.code for fault in faults} <= {"yaml_syntax", "yaml_two_faced"}
        return
    assert document is not None
    assert document.value == value


@given(st.text(alphabet=" \n-:[]{}&*!|>'\"%@`#,?ab10.~<=_", max_size=60))
def test_any_text_gives_a_document_or_faults_and_agrees_with_pyyaml(text: str) -> None:
    document, faults = check_yaml(text, "f.yaml")
    for fault in faults:
        assert fault.code.startswith("yaml_")
        assert fault.line is None or fault.line >= 1
    if document is not None and not faults:
        _agree(document.value, yaml.load(text, Loader=yaml.CBaseLoader))  # noqa: S506  # every scalar as text


def _agree(ours: object, theirs: object) -> None:
    """The same structure and the same text; what numbers and words mean is ours to say."""
    if isinstance(theirs, dict):
        assert isinstance(ours, dict)
        assert ours.keys() == theirs.keys()
        for key, item in theirs.items():
            _agree(ours[key], item)
    elif isinstance(theirs, list):
        assert isinstance(ours, list)
        assert len(ours) == len(theirs)
        for mine, item in zip(ours, theirs, strict=True):
            _agree(mine, item)
    elif isinstance(ours, str):
        assert ours == theirs
    else:
        assert ours is None or isinstance(ours, bool | int | float)

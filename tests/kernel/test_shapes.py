"""From documents to Structs: everything that does not fit is told at once, each with place and mend."""

from typing import Annotated, Literal

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from tidegate.kernel.documents import read_yaml
from tidegate.kernel.shapes import convert_document


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    size: Annotated[int, Meta(ge=1)]
    kind: Literal["round", "square"] = "round"


class Outer(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, rename={"label": "theLabel"}):
    name: Annotated[str, Meta(pattern="^[a-z]+$")]
    label: str = ""
    inner: Inner | None = None
    parts: tuple[Inner, ...] = ()
    by_name: dict[str, Inner] = {}
    ratio: float | None = None


def faults(text: str) -> list[tuple[str, int, str]]:
    found, told = convert_document(read_yaml(text, "f.yaml"), Outer)
    assert (found is None) == bool(told)
    return [(fault.code, fault.line or 0, f"{fault.message} {fault.mend}") for fault in told]


def test_a_document_that_fits_becomes_the_struct() -> None:
    text = (
        "name: a\ntheLabel: x\ninner: {size: 2}\nparts: [{size: 1, kind: square}]\nby_name: {p: {size: 3}}\nratio: 1\n"
    )
    found, told = convert_document(read_yaml(text, "f.yaml"), Outer)
    assert told == ()
    assert found == Outer(
        name="a", label="x", inner=Inner(2), parts=(Inner(1, "square"),), by_name={"p": Inner(3)}, ratio=1.0
    )


def test_every_fault_is_told_with_its_line() -> None:
    text = (
        "nmae: a\n"
        "theLabel: 1.10\n"
        "inner:\n  size: 0\n  kind: sqare\n  colour: red\n"
        "parts:\n  - {size: 1}\n  - {kind: round}\n  - word\n"
        "by_name: {p: {size: big}}\n"
        "ratio: [1]\n"
    )
    assert sorted((code, line) for code, line, _ in faults(text)) == [
        ("missing_field", 1),
        ("missing_field", 9),
        ("unknown_field", 1),
        ("unknown_field", 6),
        ("wrong_type", 2),
        ("wrong_type", 10),
        ("wrong_type", 11),
        ("wrong_type", 12),
        ("wrong_value", 4),
        ("wrong_value", 5),
    ]
    told = "\n".join(text for _, _, text in faults(text))
    assert "Did you mean `name`?" in told
    assert 'write "1.10" in quotes' in told
    assert "Did you mean `square`?" in told
    assert "`parts.1` lacks `size`" in told
    assert "expected a whole number, got text" in told


def test_a_file_that_is_no_map_is_told() -> None:
    assert [code for code, _, _ in faults("- a\n")] == ["wrong_type"]
    assert [code for code, _, _ in faults("")] == ["wrong_type"]


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["name", "theLabel", "inner", "parts", "size", "kind", "by_name", "x"]), inner, max_size=4
        )
    ),
    max_leaves=10,
)


@given(values)
def test_it_finds_faults_exactly_where_msgspec_finds_one(value: object) -> None:
    document = read_yaml(msgspec.json.encode(value).decode(), "f.yaml")
    found, told = convert_document(document, Outer)
    try:
        expected: Outer | None = msgspec.convert(value, Outer)
    except msgspec.ValidationError:
        expected = None
    assert found == expected
    assert bool(told) == (expected is None)

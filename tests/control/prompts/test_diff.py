"""Two versions side by side."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tidegate.control.prompts.diff import Change, diff_versions
from tidegate.live.snapshot import PromptMessage, PromptVersion


def version(number: str, *contents: str, **fields: Any) -> PromptVersion:
    return PromptVersion(
        name="greeting",
        version=number,
        content_hash=number,
        model=fields.pop("model", "chat"),
        template_format=fields.pop("template_format", "plain"),
        messages=tuple(PromptMessage("user", content) for content in contents),
        **fields,
    )


def test_the_same_content_has_no_difference() -> None:
    diff = diff_versions(version("1.0.0", "Hi."), version("1.0.1", "Hi."))
    assert diff.same
    assert (diff.name, diff.a, diff.b) == ("greeting", "1.0.0", "1.0.1")


def test_texts_are_compared_line_by_line_and_settings_by_name() -> None:
    a = version(
        "1.0.0",
        "one\ntwo\nthree",
        "gone",
        sampling={"temperature": 0.5, "seed": 1},
        params={"properties": {"x": {"type": "string"}}},
    )
    b = version(
        "2.0.0",
        "one\n2\nthree",
        sampling={"temperature": 0.7, "stop": None},
        params={"properties": {"x": {"type": "integer"}}},
        model="big",
    )
    diff = diff_versions(a, b)
    assert [text.label for text in diff.texts] == ["messages.0 (user)", "messages.1 (user)"]
    assert "-two\n+2" in diff.texts[0].unified
    assert (diff.texts[1].before, diff.texts[1].after) == ("gone", None)
    assert set(diff.changes) == {
        Change(path="model", before="chat", after="big"),
        Change(path="sampling.temperature", before=0.5, after=0.7),
        Change(path="sampling.seed", before=1, removed=True),
        Change(path="sampling.stop", after=None, added=True),
        Change(path="params.properties.x.type", before="string", after="integer"),
    }


def test_a_change_of_kind_of_prompt_or_of_the_last_line_break_is_seen() -> None:
    diff = diff_versions(version("1.0.0", "Hi."), version("2.0.0", template="Hi."))
    assert [(text.label, text.before, text.after) for text in diff.texts] == [
        ("messages.0 (user)", "Hi.", None),
        ("template", None, "Hi."),
    ]
    (text,) = diff_versions(version("1.0.0", "Hi."), version("1.0.1", "Hi.\n")).texts
    assert "last line break" in text.unified


def test_one_and_true_are_two_things_and_one_and_one_point_nought_are_not() -> None:
    def changes(before: object, after: object) -> tuple[Change, ...]:
        return diff_versions(version("1.0.0", sampling={"n": before}), version("1.0.1", sampling={"n": after})).changes

    assert all([changes(1, True), changes(0, False), changes(None, 0)])
    assert changes(1, 1.0) == ()


texts = st.lists(st.sampled_from(["a", "b\nc", "b\nd\n", ""]), max_size=3)
settings = st.dictionaries(
    st.sampled_from("xyz"), st.none() | st.integers(0, 2) | st.dictionaries(st.sampled_from("pq"), st.integers(0, 1))
)


@given(texts, texts, settings, settings)
def test_the_difference_is_empty_exactly_when_both_say_the_same(
    one: list[str], other: list[str], before: dict[str, Any], after: dict[str, Any]
) -> None:
    a, b = version("1.0.0", *one, sampling=before), version("1.0.0", *other, sampling=after)
    diff = diff_versions(a, b)
    assert diff.same == (a == b)
    assert msgspec.json.decode(msgspec.json.encode(diff), type=type(diff)) == diff

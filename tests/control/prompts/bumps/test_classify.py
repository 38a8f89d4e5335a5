"""How large a change is, whatever else stands in the prompt; and what that says of a version's number."""

import string
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.support.promptfiles import fragment_text, library_of, prompt_text
from tidegate.control.prompts.bumps.classify import check_bump, first_version, reasons_for
from tidegate.control.prompts.bumps.model import Level, larger, level_between, next_version
from tidegate.control.prompts.bumps.sides import Side, side_in
from tidegate.control.prompts.shape import path_of

NAMES = st.text(string.ascii_lowercase, min_size=2, max_size=6).map(lambda text: f"p{text}")
RULES = st.sampled_from([{"type": "string"}, {"type": "integer", "minimum": 0}, {"type": ["string", "null"]}, {}])
PARAMETERS = st.dictionaries(NAMES, RULES, min_size=1, max_size=4)
TEXTS = st.text(string.ascii_letters + " .,\n", max_size=60)


def prompt(parameters: dict[str, Any], required: list[str], says: str = "", version: str = "1.0.0") -> Side:
    used = " ".join(f"{{% if {name} is defined %}}{{{{ {name} | tojson }}}}{{% endif %}}" for name in parameters)
    said = {
        "name": "one",
        "version": version,
        "model": {"model_id": "chat"},
        "messages": [{"role": "system", "content": f"Be kind. {says}"}, {"role": "user", "content": f"Hello {used}"}],
        "params": {"type": "object", "properties": parameters, "required": required},
    }
    library = library_of({path_of("one", version): yaml.safe_dump(said)})
    found = side_in(library, ("one", version))
    assert found is not None, library.faults
    return found


def side(text: str, name: str = "greeting", version: str = "1.0.0", **more: str) -> Side:
    files = {path_of(name, version): text, **more}
    found = side_in(library_of(files), (name, version))
    assert found is not None
    return found


def size(a: Side, b: Side) -> Level:
    said: Level = "none"
    for reason in reasons_for(a, b):
        said = larger(said, reason.level)
    return said


@given(PARAMETERS, NAMES, RULES, TEXTS, st.data())
def test_an_optional_parameter_more_is_never_major(
    parameters: dict[str, Any], name: str, rule: dict[str, Any], says: str, data: st.DataObject
) -> None:
    required = data.draw(st.lists(st.sampled_from(sorted(parameters)), unique=True))
    parameters.pop(name, None)
    required = [one for one in required if one != name]
    after = prompt({**parameters, name: rule}, required, says)
    assert size(prompt(parameters, required), after) == "minor"


@given(PARAMETERS, TEXTS, st.data())
def test_a_parameter_less_is_always_major(parameters: dict[str, Any], says: str, data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(sorted(parameters)))
    required = data.draw(st.lists(st.sampled_from(sorted(parameters)), unique=True))
    rest = {name: rule for name, rule in parameters.items() if name != gone}
    after = prompt(rest, [one for one in required if one != gone], says)
    found = reasons_for(prompt(parameters, required), after)
    assert found[0].level == "major"
    assert any(one.code == "parameter_removed" and gone in one.message for one in found)


@given(PARAMETERS, st.data())
def test_a_parameter_that_must_be_passed_now_is_always_major(parameters: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(parameters)))
    assert size(prompt(parameters, []), prompt(parameters, [name])) == "major"
    assert size(prompt(parameters, [name]), prompt(parameters, [])) == "minor"


@given(PARAMETERS, TEXTS)
def test_the_same_is_no_change(parameters: dict[str, Any], says: str) -> None:
    assert reasons_for(prompt(parameters, [], says), prompt(parameters, [], says, version="1.0.1")) == ()


def test_what_is_compared_has_its_fragments_woven_in() -> None:
    def with_rules(version: str, rule: str) -> Side:
        more = f"includes: [{{name: shared.rules, version: {version}}}]\n"
        text = prompt_text(says='{{ name }} {% include "shared.rules" %}', more=more)
        return side(text, **{path_of("shared.rules", version): fragment_text(version=version, says=rule)})

    long = "Never guess, never promise, and answer every question in the order in which it was asked."
    found = reasons_for(with_rules("1.0.0", "Never guess."), with_rules("2.0.0", long))
    assert [one.code for one in found] == ["rewritten", "include"]
    assert "in the order" in found[0].evidence
    assert found[1].evidence == "shared.rules 1.0.0 -> 2.0.0"
    same = reasons_for(with_rules("1.0.0", "Never guess."), with_rules("1.0.1", "Never guess."))
    assert [(one.level, one.code) for one in same] == [("patch", "include")]


def test_fragments_are_held_to_the_same_rules() -> None:
    a = side(fragment_text(says="Never guess."), "shared.rules")
    b = side(fragment_text(says="Never guess anything."), "shared.rules")
    assert size(a, b) == "minor"  # 1 of 3 words


def test_a_rewritten_instruction_does_not_hide_behind_long_examples() -> None:
    examples = "{{ name }} " + "An example of what people ask and how it was answered. " * 60
    rules = "Answer in two sentences and name the source of each of them, by its number in the list. " * 3

    def saying(text: str) -> Side:
        return side(prompt_text(says=examples).replace("Be kind.", text))

    assert size(saying(rules), saying(rules.replace("two", "three"))) == "patch"
    found = check_bump(saying(rules), saying("Reply with a table of all the facts that you were given. " * 4))
    assert found.reasons[0].code == "rewritten"
    assert found.edit_ratio is not None
    assert found.edit_ratio < 0.2


@pytest.mark.parametrize(
    ("before", "after", "answer", "right"),
    [
        ("1.2.3", "2.0.0", "right", "2.0.0"),
        ("1.2.3", "1.3.0", "too_small", "2.0.0"),
        ("1.2.3", "1.2.4", "too_small", "2.0.0"),
        ("0.2.3", "0.3.0", "right", "0.3.0"),
        ("0.2.3", "0.2.4", "too_small", "0.3.0"),
    ],
)
def test_the_number_is_held_against_the_change(before: str, after: str, answer: str, right: str) -> None:
    a, b = prompt({"a": {}, "b": {}}, [], version=before), prompt({"a": {}}, [], version=after)
    found = check_bump(a, b)
    assert (found.answer, found.right_version, found.needed) == (answer, right, "major")


def test_a_step_that_is_too_large_is_told_and_a_first_version_is_not_judged() -> None:
    a, b = prompt({"a": {}}, []), prompt({"a": {}}, [], says="", version="2.0.0")
    assert check_bump(a, b).answer == "too_large"
    assert check_bump(a, b).right_version == "1.0.1"
    assert first_version(a).answer == "first"
    assert check_bump(a, prompt({"a": {}}, [], version="1.0.1")).answer == "right"


def test_words_that_turn_a_rule_round_are_hinted_at() -> None:
    a = side(prompt_text().replace("Be kind.", "Do not promise a refund to anyone who asks for one by mail or phone."))
    b = side(prompt_text().replace("Be kind.", "Do promise a refund to anyone who asks for one by mail or phone."))
    found = check_bump(a, b)
    assert found.needed == "patch"
    assert "`not`" in found.hints[0]


@pytest.mark.parametrize(
    ("before", "after", "level"),
    [
        ({"type": "text"}, {"type": "json_object"}, "major"),
        ({"type": "json_schema", "json_schema": {"schema": {"required": []}}}, None, "major"),
        (
            {"type": "json_schema", "json_schema": {"name": "a", "schema": {"properties": {"a": {}}}}},
            {"type": "json_schema", "json_schema": {"name": "a", "schema": {"properties": {"a": {}, "b": {}}}}},
            "minor",
        ),
    ],
)
def test_a_response_format_is_an_answers_schema_too(before: Any, after: Any, level: str) -> None:
    def asking(form: Any) -> Side:
        extra = {"response_format": form} if form else {}
        model = yaml.safe_dump({"model_id": "chat", "extra": extra}, default_flow_style=True).strip()
        return side(prompt_text().replace("{model_id: chat, temperature: 0.2}", model))

    assert size(asking(before), asking(after)) == level


def test_numbers() -> None:
    assert level_between((1, 2, 3), (1, 4, 0)) == "minor"
    assert level_between((1, 2, 3), (1, 2, 3)) == "none"
    assert next_version((1, 2, 3), "minor") == "1.3.0"

"""Rendering as callers see it: messages or text, and errors that name every variable."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.templates.prompts import JINJA, PLAIN, anything, compiled, version
from tidegate.kernel.errors import Invalid, InvalidVariables
from tidegate.live.snapshot import PromptMessage, PromptVersion
from tidegate.templates.compile import FORMATS, Rendered, check_template, compile_prompt

PARAMS: dict[str, object] = {
    "type": "object",
    "required": ["context", "question"],
    "additionalProperties": False,
    "properties": {
        "context": {"type": "string", "maxLength": 200},
        "question": {"type": "string", "minLength": 1},
        "tone": {"type": "string", "default": "friendly", "enum": ["friendly", "formal"]},
        "limit": {"type": "integer", "minimum": 1, "maximum": 9},
    },
}
CONTENTS = ("Be {{ tone }}.", "Context: {{ context }}\n\nQ: {{ question }}")


@pytest.mark.parametrize("template_format", FORMATS)
def test_a_chat_prompt_becomes_messages(template_format: str) -> None:
    prompt = compile_prompt(version(*CONTENTS, params=PARAMS, template_format=template_format))
    assert prompt.render({"context": "Opens at six.", "question": "When?"}) == Rendered(
        messages=[
            {"role": "user", "content": "Be friendly."},
            {"role": "user", "content": "Context: Opens at six.\n\nQ: When?"},
        ]
    )
    assert prompt.render({"context": "", "question": "?", "tone": "formal"}).messages is not None


@pytest.mark.parametrize("template_format", FORMATS)
def test_a_text_prompt_becomes_text(template_format: str) -> None:
    assert compiled("Hello {{ name }}!\n", "name", template_format=template_format).render({"name": "Ada"}) == Rendered(
        text="Hello Ada!\n"
    )


def test_roles_stay_in_order() -> None:
    messages = tuple(PromptMessage(role, "x") for role in ("system", "user", "assistant", "user"))
    prompt = PromptVersion(
        name="a", version="1.0.0", content_hash="", model="m", template_format=JINJA, messages=messages
    )
    rendered = compile_prompt(prompt).render({})
    assert rendered.messages is not None
    assert [message["role"] for message in rendered.messages] == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize("template_format", FORMATS)
@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, ["`context` is missing", "`question` is missing"]),
        ({"context": "x"}, ["`question` is missing"]),
        ({"context": "x", "question": "y", "qestion": "z"}, ["`qestion` is unknown (did you mean `question`?)"]),
        ({"context": "x", "question": "y", "zz": 1}, ["`zz` is unknown"]),
        ({"context": None, "question": "y"}, ["`context` must be text, not null"]),
        ({"context": 5, "question": True}, ["must be text, not a number", "must be text, not true or false"]),
        ({"context": ["x"], "question": {}}, ["must be text, not a list", "must be text, not a map"]),
        ({"context": "x" * 201, "question": "y"}, ["`context` is longer than 200 characters"]),
        ({"context": "x", "question": ""}, ["`question` is shorter than 1 character"]),
        ({"context": "x", "question": "y", "tone": "rude"}, ["`tone` must be one of friendly, formal"]),
        ({"context": "x", "question": "y", "limit": 0}, ["`limit` is less than the minimum of 1"]),
        ({"context": "x", "question": "y", "limit": 2**70}, ["`limit` holds a whole number of more than 64 bits"]),
        ({"context": "x", "question": "y", "limit": float("nan")}, ["`limit` holds a number that is not finite"]),
        ({"context": "\ud800", "question": "y"}, ["`context` holds half a surrogate pair"]),
        ({"context": b"x", "question": object()}, ["not JSON (a Python `bytes`)", "not JSON (a Python `object`)"]),
        ({"context": "x", "question": "y", 7: "z"}, ["`7` is unknown"]),
        (["context", "question"], ["they must be a map of names to values"]),
        (None, ["they must be a map"]),
    ],
)
def test_every_wrong_variable_is_named_and_nothing_is_silently_empty(
    template_format: str, variables: dict[str, object], said: list[str]
) -> None:
    prompt = compile_prompt(version(*CONTENTS, params=PARAMS, template_format=template_format))
    with pytest.raises(InvalidVariables) as raised:
        prompt.render(variables)
    for words in said:
        assert words in raised.value.message
    assert "greeting 1.2.0" in raised.value.message
    assert raised.value.code == "invalid_variables"
    assert raised.value.param == "variables"
    assert "context, limit, question, tone" in raised.value.mend


def test_an_error_repeats_names_but_no_values() -> None:
    secret = "4111 1111 1111 1111"
    prompt = compile_prompt(version(*CONTENTS, params=PARAMS))
    for variables in ({"context": secret * 20, "question": ""}, {"context": [secret], "question": "x", "tone": secret}):
        with pytest.raises(InvalidVariables) as raised:
            prompt.render(variables)
        assert secret not in str(raised.value)


@pytest.mark.parametrize("template_format", FORMATS)
def test_a_prompt_without_parameters_takes_none(template_format: str) -> None:
    prompt = compile_prompt(version("Hi.", params={}, template_format=template_format))
    assert prompt.render({}).messages == [{"role": "user", "content": "Hi."}]
    with pytest.raises(InvalidVariables, match="`name` is unknown") as raised:
        prompt.render({"name": "x"})
    assert raised.value.mend == "It takes no variables."


def test_unknown_variables_are_refused_even_where_the_schema_would_let_them_in() -> None:
    params = anything("a") | {"additionalProperties": True}
    with pytest.raises(InvalidVariables, match=r"`b` is unknown"):
        compile_prompt(version("{{ a }}", params=params)).render({"a": "x", "b": "y"})


@pytest.mark.parametrize("template_format", FORMATS)
def test_an_optional_variable_that_is_used_and_not_given_is_an_error(template_format: str) -> None:
    prompt = compiled("Hi {{ name }}.", "name", template_format=template_format)
    with pytest.raises(InvalidVariables, match=r"`name` was not given"):
        prompt.render({})
    with pytest.raises(InvalidVariables, match="null cannot be written"):
        prompt.render({"name": None})


@pytest.mark.parametrize("template_format", FORMATS)
@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "x"),
        (5, "5"),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
        ([1, "é", None], '[1,"é",null]'),
        ({"a": {"b": "<x>"}}, '{"a":{"b":"<x>"}}'),
        ((1, 2), "[1,2]"),
        ("", ""),
        ("a\nb", "a\nb"),
        ("<b>&</b>", "<b>&</b>"),
        ("100% %s %(x)s {0} $x", "100% %s %(x)s {0} $x"),
    ],
)
def test_how_values_stand_in_the_text(template_format: str, value: object, text: str) -> None:
    assert compiled("[{{ v }}]", "v", template_format=template_format).render({"v": value}).text == f"[{text}]"


@pytest.mark.parametrize("template_format", FORMATS)
@pytest.mark.parametrize(
    "attack",
    [
        "{{ other }}",
        "{{ ''.__class__ }}",
        "{% for x in other %}{{ x }}{% endfor %}",
        "{# gone? #}",
        "}}{{ other",
        "%s %(other)s {other}",
        '{% include "shared.rules" %}',
        "{{ '{{ other }}' }}",
    ],
)
def test_what_a_variable_says_is_never_evaluated(template_format: str, attack: str) -> None:
    prompt = compiled("<{{ said }}> {{ other }}", "said", "other", template_format=template_format)
    assert prompt.render({"said": attack, "other": "secret"}).text == f"<{attack}> secret"


def test_one_compiled_prompt_serves_many_threads() -> None:
    prompt = compiled(
        "{% set n = a ~ b %}{% for x in xs %}{{ n }}{{ x }}{% if not loop.last %},{% endif %}{% endfor %}",
        "a",
        "b",
        "xs",
    )
    wrong: list[object] = []

    def work(number: int) -> None:
        for _ in range(200):
            text = prompt.render({"a": f"t{number}", "b": "-", "xs": [1, 2, 3]}).text
            if text != f"t{number}-1,t{number}-2,t{number}-3":
                wrong.append(text)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "template_format"),
    [("{{ a", JINJA), ("{{ a() }}", JINJA), ("{{ a", PLAIN), ("{{ a }}", "mustache"), ("x" * 300_000, JINJA)],
)
def test_a_version_that_cannot_be_compiled_is_an_error_that_names_it(text: str, template_format: str) -> None:
    with pytest.raises(Invalid, match=r"greeting 1\.2\.0 cannot be compiled") as raised:
        compiled(text, "a", template_format=template_format)
    assert raised.value.code == "invalid_prompt"


def test_a_schema_that_cannot_be_compiled_is_an_error_that_names_it() -> None:
    with pytest.raises(Invalid, match=r"greeting 1\.2\.0 cannot be compiled"):
        compile_prompt(version("x", params={"properties": {"a": {"pattern": "("}}}))


def test_an_unknown_format_is_a_fault() -> None:
    assert [fault.code for fault in check_template("x", "mustache").faults] == ["template_syntax"]


# ------------------------------------------------------------------------------------------------- the two formats

names = st.sampled_from(["a", "b", "long_name", "X1"])
chunks = st.text(alphabet=st.characters(exclude_characters="{}", exclude_categories=["Cs"]), max_size=12)
pieces = st.lists(
    chunks | names.map(lambda name: f"{{{{ {name} }}}}") | st.sampled_from(["{", "}", "}}", "%", "%s", "{{b}}", "\n"]),
    max_size=8,
).map("".join)
scalars = st.text(max_size=20) | st.integers(-(2**63), 2**63 - 1) | st.booleans()


@given(pieces, st.fixed_dictionaries(dict.fromkeys(("a", "b", "long_name", "X1"), scalars)))
def test_plain_renders_as_jinja_does_for_templates_without_tags(text: str, variables: dict[str, object]) -> None:
    plain, jinja = check_template(text, PLAIN), check_template(text, JINJA)
    if "{%" in text or "{#" in text:
        return
    if plain.faults:
        return  # `{{` that begins no name: Jinja may read more than plain does
    assert not jinja.faults
    assert plain.variables == jinja.variables
    outcomes = []
    for template_format in (PLAIN, JINJA):
        prompt = compiled(text, "a", "b", "long_name", "X1", template_format=template_format)
        try:
            outcomes.append(prompt.render(variables).text)
        except InvalidVariables as error:
            outcomes.append(error.message)
    assert outcomes[0] == outcomes[1]

"""The prompt file: its place, and a hash that follows what it says and not how it is written."""

import json
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from tidegate.control.prompts.shape import (
    PromptFile,
    content_hash,
    path_of,
    place_in,
    prompt_version,
    sampling_of,
)
from tidegate.kernel.documents import check_yaml, read_yaml
from tidegate.kernel.names import semver_key


def hash_of(text: str) -> str:
    return content_hash(msgspec.convert(read_yaml(text, "f.yaml").value, PromptFile), {})


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("prompts/a/v1.0.0.yaml", ("a", "1.0.0")),
        ("prompts/shared.rules/v10.20.30.yaml", ("shared.rules", "10.20.30")),
        ("prompts/a/1.0.0.yaml", None),
        ("prompts/a/v1.0.yaml", None),
        ("prompts/a/v01.0.0.yaml", None),
        ("prompts/a/v1.0.0.yml", None),
        ("prompts/a/v1.0.0-rc1.yaml", None),
        ("prompts/a/b/v1.0.0.yaml", None),
        ("prompts/v1.0.0.yaml", None),
        ("prompts/A/v1.0.0.yaml", None),
        ("prompts/.a/v1.0.0.yaml", None),
        ("other/a/v1.0.0.yaml", None),
        ("prompts/a/v1.0.0.yaml\n", None),
        ("prompts/\u0430/v1.0.0.yaml", None),
    ],
)
def test_where_a_version_stands(path: str, place: tuple[str, str] | None) -> None:
    assert place_in(path) == place
    if place:
        assert path_of(*place) == path


def dumped(content: object) -> str:
    """JSON is YAML, as long as letters beyond 16 bits are not escaped by halves."""
    return json.dumps(content, ensure_ascii=False)


BASE = """
apiVersion: prompts/v1
name: greeting
version: 1.0.0
description: Says hello.
model: {model_id: chat, temperature: 0.5, stop_sequences: [a, b]}
messages:
  - {role: system, content: Be kind.}
  - {role: user, content: "Hello {{ name }}"}
params:
  type: object
  required: [name]
  properties: {name: {type: string, maxLength: 10}}
metadata: {owner: team-a}
"""
HASH = hash_of(BASE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("name: greeting", "name: 'greeting'  # a comment"),
        ("version: 1.0.0", 'version: "1.0.0"'),
        ("temperature: 0.5, stop_sequences: [a, b]", "stop_sequences: ['a', \"b\"], temperature: 5.0e-1"),
        ("description: Says hello.\n", ""),  # moved to the end
        ("{role: system, content: Be kind.}", "content: Be\n      kind.\n    role: system"),
        ("maxLength: 10", "maxLength: 1.0e+1"),
        ("apiVersion: prompts/v1\n", ""),
        ("\nparams:", "\ntemplate_format: jinja2-sandboxed\nkind: prompt\noutput: {}\nincludes: []\nparams:"),
        ("\n", "\r\n"),
    ],
)
def test_how_it_is_written_does_not_change_the_hash(before: str, after: str) -> None:
    assert before in BASE
    text = BASE.replace(before, after)
    if before.startswith("description"):
        text += before
    assert text != BASE
    assert hash_of(text) == HASH


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("greeting", "greetings"),
        ("1.0.0", "1.0.1"),
        ("Says hello.", "Says hello"),
        ("chat", "chat2"),
        ("0.5", "0.51"),
        ("[a, b]", "[b, a]"),
        ("role: system", "role: developer"),
        ("Be kind.", "Be  kind."),
        ("Hello {{ name }}", "Hello {{name}}"),
        ('"Hello {{ name }}"', '"Hello {{ name }}\\n"'),
        ("maxLength: 10", "maxLength: 11"),
        ("type: string", "type: [string]"),
        ("required: [name]", "required: []"),
        ("team-a", "team-b"),
        ("metadata: {owner: team-a}", "metadata: {owner: team-a, reviewed: true}"),
        ("metadata: {owner: team-a}", "changelog: New."),
        ("\nparams", "\ntemplate_format: plain\nparams"),
        ("\nparams", "\noutput: {format: json}\nparams"),
        ("\nparams", "\ngates: {error_rate: {max: 0.1}}\nparams"),
        ("\nparams", "\ntests: {golden: {dataset: d.jsonl}}\nparams"),
        ("temperature: 0.5", "temperature: 0.5, seed: 0"),
        ("temperature: 0.5", "temperature: 0.5, extra: {x: null}"),
    ],
)
def test_what_it_says_does_change_the_hash(before: str, after: str) -> None:
    assert before in BASE
    assert hash_of(BASE.replace(before, after)) != HASH


def test_included_fragments_are_part_of_the_hash() -> None:
    file = msgspec.convert(read_yaml(BASE, "f").value, PromptFile)
    assert content_hash(file, {"rules": "a"}) != content_hash(file, {"rules": "b"}) != content_hash(file, {})
    assert content_hash(file, {"a": "1", "b": "2"}) == content_hash(file, {"b": "2", "a": "1"})


def eighths(least: int, most: int) -> st.SearchStrategy[float]:
    """Fractions that JSON and YAML write the same way, without an exponent."""
    return st.integers(least * 8, most * 8).map(lambda number: number / 8)


words = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\u2028\u2029\x85"),
    min_size=1,
    max_size=12,
)
json_values = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | eighths(-100, 100) | words | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)
files: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"name": st.sampled_from(["a", "b.c"]), "version": st.sampled_from(["1.0.0", "1.10.0"]), "template": words},
    optional={
        "description": words,
        "model": st.fixed_dictionaries(
            {"model_id": words},
            optional={
                "temperature": eighths(0, 2),
                "max_tokens": st.integers(1, 9),
                "stop_sequences": st.lists(words, max_size=3),
            },
        ),
        "params": st.dictionaries(words, json_values, max_size=3),
        "metadata": st.dictionaries(words, json_values, max_size=3),
        "changelog": words,
    },
)


@given(files, st.randoms())
def test_the_hash_is_the_same_however_yaml_writes_it(content: dict[str, Any], random: Any) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            keys = list(value)
            random.shuffle(keys)
            return {key: shuffled(value[key]) for key in keys}
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    first = dumped(content)
    second = yaml.safe_dump(
        shuffled(content),
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=random.choice([True, False, None]),
        width=random.choice([20, 80]),
    )
    assume(not check_yaml(second, "f")[1])  # PyYAML, of YAML 1.1, leaves texts such as 0E0 without quotes
    assert hash_of(first) == hash_of(second) == hash_of(f"# a comment\n\n{second}# the end\n")


@given(files, files)
def test_two_files_have_the_same_hash_only_if_they_say_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = _without_defaults(one) == _without_defaults(other)
    assert (hash_of(dumped(one)) == hash_of(dumped(other))) == same


@given(files, st.data())
def test_any_single_change_changes_the_hash(content: dict[str, Any], data: st.DataObject) -> None:
    field = data.draw(st.sampled_from(sorted(content)))
    if field in ("name", "version"):
        return
    changed = json.loads(json.dumps(content))
    if isinstance(changed[field], str):
        changed[field] += "!"
    elif field == "model":
        changed[field]["model_id"] += "!"
    else:
        changed[field]["one more"] = data.draw(json_values)
        if "one more" in content[field]:
            return
    assert hash_of(dumped(changed)) != hash_of(dumped(content))


def _without_defaults(content: dict[str, Any]) -> str:
    """What the content says: empty parts and the kind of a number do not count, true and 1 are two things."""
    kept = {key: value for key, value in content.items() if value not in ({}, [])}
    if "model" in kept and not kept["model"].get("stop_sequences", ["x"]):
        kept["model"] = {key: value for key, value in kept["model"].items() if key != "stop_sequences"}
    return json.dumps(_plain_numbers(kept), sort_keys=True)


def _plain_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


versions = st.tuples(*[st.integers(0, 10**6)] * 3)


@given(versions, versions)
def test_versions_are_ordered_by_number_and_not_by_letter(
    one: tuple[int, int, int], other: tuple[int, int, int]
) -> None:
    first, second = ".".join(map(str, one)), ".".join(map(str, other))
    assert (semver_key(first) < semver_key(second)) == (one < other)
    assert (semver_key(first) == semver_key(second)) == (first == second)


def test_sampling_has_openais_names() -> None:
    file = msgspec.convert(
        read_yaml(
            "name: a\nversion: 1.0.0\ntemplate: x\nmodel:\n  model_id: m\n  temperature: 0\n  top_p: 1\n"
            "  max_tokens: 5\n  stop_sequences: [END]\n  seed: 7\n  frequency_penalty: -1\n  presence_penalty: 2\n"
            "  extra: {logit_bias: {}}\n",
            "f",
        ).value,
        PromptFile,
    )
    assert file.model is not None
    assert sampling_of(file.model) == {
        "temperature": 0.0,
        "top_p": 1.0,
        "max_tokens": 5,
        "stop": ["END"],
        "seed": 7,
        "frequency_penalty": -1.0,
        "presence_penalty": 2.0,
        "logit_bias": {},
    }
    bare = msgspec.convert({"name": "a", "version": "1.0.0", "template": "x", "model": {"model_id": "m"}}, PromptFile)
    assert bare.model is not None
    assert sampling_of(bare.model) == {}


def test_a_version_of_a_file_is_what_the_gateway_gets() -> None:
    file = msgspec.convert(read_yaml(BASE, "f").value, PromptFile)
    version = prompt_version(file, ("Be kind.", "Hello {{ name }}"), "d" * 64)
    assert (version.name, version.version, version.model, version.template) == ("greeting", "1.0.0", "chat", None)
    assert [(message.role, message.content) for message in version.messages] == [
        ("system", "Be kind."),
        ("user", "Hello {{ name }}"),
    ]
    assert version.params == file.params
    text = msgspec.convert({"name": "a", "version": "1.0.0", "template": "x", "model": {"model_id": "m"}}, PromptFile)
    assert prompt_version(text, ("woven",), "d").template == "woven"
    assert prompt_version(text, ("woven",), "d").messages == ()

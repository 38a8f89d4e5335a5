"""For each code of lint, files that bring it about."""

from tests.support.promptfiles import fragment_text, library_of, prompt_text

__all__ = ["BESIDE", "CHAIN", "CYCLE", "EXAMPLES", "GOOD", "PATH", "PIN", "includes", "link"]

PATH = "prompts/greeting/v1.0.0.yaml"
GOOD = prompt_text()
BESIDE = "prompts/other/v1.0.0.yaml"
PINNED = fragment_text()
PIN = library_of({"prompts/shared.rules/v1.0.0.yaml": PINNED}).hashes["shared.rules", "1.0.0"]


def includes(*entries: str, says: str = '{{ name }} {% include "shared.rules" %}') -> dict[str, str | bytes]:
    """A prompt that includes, beside the fragment shared.rules 1.0.0."""
    more = f"includes: [{', '.join(entries)}]\n"
    return {PATH: prompt_text(says=says, more=more), "prompts/shared.rules/v1.0.0.yaml": PINNED}


def files(text: str | bytes, path: str = PATH) -> dict[str, str | bytes]:
    return {path: text}


def changed(before: str, after: str) -> dict[str, str | bytes]:
    assert before in GOOD
    return files(GOOD.replace(before, after))


def more(text: str) -> dict[str, str | bytes]:
    return files(GOOD + text)


CYCLE: dict[str, str | bytes] = {
    "prompts/a/v1.0.0.yaml": fragment_text(
        "a", says='{% include "b" %}', more="includes: [{name: b, version: 1.0.0}]\n"
    ),
    "prompts/b/v1.0.0.yaml": fragment_text(
        "b", says='{% include "a" %}', more="includes: [{name: a, version: 1.0.0}]\n"
    ),
}


def link(number: int, to: int, *, times: int = 1) -> dict[str, str | bytes]:
    """A fragment that includes another one."""
    says = f'{{% include "f{to}" %}}' * times
    more = f"includes: [{{name: f{to}, version: 1.0.0}}]\n"
    return {f"prompts/f{number}/v1.0.0.yaml": fragment_text(f"f{number}", says=says, more=more)}


CHAIN: dict[str, str | bytes] = {"prompts/f9/v1.0.0.yaml": fragment_text("f9")}
for each in range(9):
    CHAIN |= link(each, each + 1)

EXAMPLES: dict[str, dict[str, str | bytes]] = {
    "not_utf8": files(GOOD.encode().replace(b"Be kind", b"Be k\xefnd")),
    "file_name": files(GOOD, "prompts/greeting/1.0.0.yaml"),
    "yaml_syntax": changed("messages:", "messages: ["),
    "yaml_too_large": files(GOOD + "#" * 1_100_000),
    "yaml_too_deep": more("metadata: " + "[" * 70 + "]" * 70 + "\n"),
    "yaml_too_many": more(
        "metadata:\n  a: &a [x, x, x, x, x, x, x, x, x, x]\n  b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
        "  c: &c [*b, *b, *b, *b, *b, *b, *b, *b]\n  d: &d [*c, *c, *c, *c, *c, *c, *c]\n  e: [*d, *d, *d, *d, *d]\n"
    ),
    "yaml_alias": more("changelog: *nobody\n"),
    "yaml_documents": more("---\nname: b\n"),
    "yaml_duplicate_key": more("name: greeting\n"),
    "yaml_key": more("metadata: {1: a}\n"),
    "yaml_number": changed("temperature: 0.2", "temperature: .inf"),
    "yaml_tag": more("changelog: !!python/object:os.system x\n"),
    "yaml_two_faced": more("metadata: {reviewed: no}\n"),
    "unknown_field": more("modle: {}\n"),
    "missing_field": changed("version: 1.0.0\n", ""),
    "wrong_type": changed("version: 1.0.0", "version: 1.0"),
    "wrong_value": changed("temperature: 0.2", "temperature: 7"),
    "name_mismatch": changed("name: greeting", "name: greetings"),
    "version_mismatch": changed("version: 1.0.0", "version: 1.0.1"),
    "body": more("template: x\n"),
    "model_missing": changed("model: {model_id: chat, temperature: 0.2}\n", ""),
    "model_extra": changed("temperature: 0.2", "extra: {stream: true}"),
    "template_syntax": changed("Hello {{ name }}.", "Hello {{ name }."),
    "template_forbidden": changed("Hello {{ name }}.", "Hello {{ name.upper() }}."),
    "template_too_large": changed("Hello {{ name }}.", "{{ name }}" + "x" * 262_144),
    "param_name": changed("    name: {type: string}\n", "    name: {type: string}\n    'two words': {}\n"),
    "param_unused": changed("    name: {type: string}\n", "    name: {type: string}\n    tone: {type: string}\n"),
    "param_undeclared": changed("Hello {{ name }}.", "Hello {{ name }} {{ nmae }}."),
    "param_required": changed("required: [name]", "required: [name, tone]"),
    "param_default": changed("name: {type: string}", "name: {type: string, default: 5}"),
    "param_unguarded": changed("  required: [name]\n", ""),
    "schema_invalid": changed("type: string", "type: strng"),
    "schema_reference": changed("{type: string}", "{$ref: 'https://example.org/name.json'}"),
    "schema_keyword": changed("{type: string}", "{type: string, maxLenght: 5}"),
    "include_syntax": includes(says="{{ name }} {%- include 'shared.rules' -%}"),
    "include_undeclared": includes(says='{{ name }} {% include "shared.rules" %}'),
    "include_unused": includes(f"{{name: shared.rules, version: 1.0.0, sha256: {PIN}}}", says="{{ name }}"),
    "include_missing": includes("{name: shared.rules, version: 2.0.0}"),
    "include_kind": {
        PATH: prompt_text(says='{{ name }} {% include "other" %}', more="includes: [{name: other, version: 1.0.0}]\n"),
        BESIDE: prompt_text("other"),
    },
    "include_hash": includes(f"{{name: shared.rules, version: 1.0.0, sha256: {'0' * 64}}}"),
    "include_unpinned": includes("{name: shared.rules, version: 1.0.0}"),
    "include_cycle": CYCLE,
    "include_broken": {
        PATH: includes(f"{{name: shared.rules, version: 1.0.0, sha256: {PIN}}}")[PATH],
        "prompts/shared.rules/v1.0.0.yaml": fragment_text(says="{{ undeclared }}"),
    },
    "dataset_missing": more("tests: {golden: {dataset: datasets/none.jsonl}}\n"),
    "dataset_path": more("tests: {golden: {dataset: ../secret.jsonl}}\n"),
    "gate_unit": more("gates: {faithfulness: {max: 0.1}}\n"),
    "gate_bounds": more("gates: {error_rate: {min: 0.2, max: 0.1}}\n"),
    "model_unknown": changed("model_id: chat", "model_id: caht"),
}

"""What docs/reference says of prompt files is what the code does."""

import json
import re
from pathlib import Path

import jsonschema
import msgspec
import yaml

from tests.support.promptfiles import fragment_text, library_of
from tidegate.control.prompts.codes import CODES
from tidegate.control.prompts.lint import Surroundings
from tidegate.control.prompts.shape import prompt_schema
from tidegate.templates.filters import FILTERS, TESTS

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"
TEXT = (REFERENCE / "prompt-files.md").read_text(encoding="utf-8")


def test_the_published_schema_is_the_one_of_the_code() -> None:
    published = json.loads((REFERENCE / "prompt.schema.json").read_text(encoding="utf-8"))
    assert published == json.loads(msgspec.json.encode(prompt_schema())), (
        "write it anew: tidegate prompt schema > docs/reference/prompt.schema.json"
    )


def test_the_table_of_codes_is_the_one_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (error|warning) \| (.+) \|$", TEXT, re.MULTILINE)
    assert [(code, severity, meaning) for code, severity, meaning in rows] == [
        (code, told.severity, told.meaning) for code, told in CODES.items()
    ]


def test_the_filters_and_tests_are_those_of_the_code() -> None:
    def listed(head: str) -> list[str]:
        row = re.search(rf"^\| {head} \| (.*) \|$", TEXT, re.MULTILINE)
        assert row is not None
        return re.findall(r"`(\w+)`", row[1])

    assert listed("filters") == sorted(FILTERS)
    assert listed("tests") == sorted(TESTS)


def test_the_example_passes_lint() -> None:
    example = re.search(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert example is not None
    fragment = fragment_text()
    pin = library_of({"prompts/shared.rules/v1.0.0.yaml": fragment}).hashes["shared.rules", "1.0.0"]
    text = re.sub(r"sha256: [0-9a-f]{64}", f"sha256: {pin}", example[1])
    files: dict[str, str | bytes] = {
        "prompts/support-answer/v2.1.0.yaml": text,
        "prompts/shared.rules/v1.0.0.yaml": fragment,
    }
    jsonschema.validate(yaml.safe_load(text), json.loads(msgspec.json.encode(prompt_schema())))
    library = library_of(files, Surroundings(exists=lambda path: True, models=frozenset({"chat"})))
    assert library.faults == ()
    (version,) = library.versions["support-answer"].values()
    assert version.sampling["stop"] == ["</answer>"]


def test_every_field_of_the_schema_is_explained() -> None:
    for field in prompt_schema()["$defs"]["PromptFile"]["properties"]:  # type: ignore[index]
        assert field in TEXT, field

"""Models of every provider are written down as the docs show, and a missing option is told with its mend."""

from pathlib import Path

import pytest

from tidegate.control.policies.model import parse_config
from tidegate.kernel.errors import Invalid

PAGE = Path(__file__).parents[3] / "docs/reference/providers.md"
START = "apiVersion: tidegate/v1\nmodels:\n  a:\n    model: m\n"


def test_the_docs_example_is_a_good_file() -> None:
    text = PAGE.read_text().partition("```yaml\n")[2].partition("```")[0]
    found = {name: one.base_url for name, one in parse_config(text, "tidegate.yaml").deployments.items()}
    assert found == {
        "azure-gpt": "https://my-resource.openai.azure.com",
        "gemini-flash": "https://generativelanguage.googleapis.com/v1beta",
        "vertex-flash": "https://europe-west4-aiplatform.googleapis.com/v1",
        "sonnet": "https://api.anthropic.com/v1",
        "claude": "https://bedrock-runtime.eu-central-1.amazonaws.com",
    }


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ("provider: vertex", r"no option `project`\. Write options: \{project: \.\.\., location: \.\.\.\}"),
        ("provider: vertex\n    options: {project: p}", "no option `location`"),
        ("provider: bedrock", r"no option `region`\. Write options: \{region: \.\.\.\}"),
        ("provider: bedrock\n    base_url: https://proxy.example", "no option `region`"),
        ("provider: azure", "no `base_url`"),
    ],
)
def test_what_a_provider_needs(fields: str, told: str) -> None:
    with pytest.raises(Invalid, match=told):
        parse_config(f"{START}    {fields}\n", "tidegate.yaml")


def test_the_address_may_tell_bedrocks_region() -> None:
    fields = "provider: bedrock\n    base_url: https://bedrock-runtime.us-east-1.amazonaws.com"
    assert parse_config(f"{START}    {fields}\n", "tidegate.yaml").deployments["a"].options == {}

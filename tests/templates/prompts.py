"""Small prompts for the tests of templates."""

from tidegate.live.snapshot import PromptMessage, PromptVersion
from tidegate.templates.compile import CompiledPrompt, compile_prompt

__all__ = ["JINJA", "PLAIN", "anything", "compiled", "version"]

JINJA = "jinja2-sandboxed"
PLAIN = "plain"


def anything(*names: str) -> dict[str, object]:
    """Parameters of these names that take any value and require none."""
    return {"type": "object", "properties": {name: {} for name in names}}


def version(
    *contents: str, params: dict[str, object], template_format: str = JINJA, text: str | None = None
) -> PromptVersion:
    """A version whose messages (of a user) have these contents, or a text prompt."""
    return PromptVersion(
        name="greeting",
        version="1.2.0",
        content_hash="0" * 64,
        model="chat",
        template_format=template_format,
        messages=tuple(PromptMessage("user", content) for content in contents),
        template=text,
        params=params,
    )


def compiled(text: str, *names: str, template_format: str = JINJA) -> CompiledPrompt:
    """A text prompt that takes any values under these names."""
    return compile_prompt(version(params=anything(*names), template_format=template_format, text=text))

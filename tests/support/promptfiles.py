"""Prompt files for tests, in memory."""

from collections.abc import Mapping

from tidegate.control.prompts.library import Library, read_library
from tidegate.control.prompts.lint import Surroundings
from tidegate.control.prompts.ports import TreeFile

__all__ = ["codes", "fragment_text", "library_of", "prompt_text", "tree_file", "tree_of"]


def prompt_text(
    name: str = "greeting", version: str = "1.0.0", *, says: str = "Hello {{ name }}.", more: str = ""
) -> str:
    """A good prompt file that takes `name`; `more` is added at the end."""
    return (
        f"apiVersion: prompts/v1\nname: {name}\nversion: {version}\nmodel: {{model_id: chat, temperature: 0.2}}\n"
        f"messages:\n  - role: system\n    content: Be kind.\n  - role: user\n    content: |\n      {says}\n"
        "params:\n  type: object\n  required: [name]\n  properties:\n    name: {type: string}\n"
        f"{more}"
    )


def fragment_text(
    name: str = "shared.rules", version: str = "1.0.0", *, says: str = "Never guess.", more: str = ""
) -> str:
    """A good fragment without variables."""
    return f"kind: fragment\nname: {name}\nversion: {version}\ntemplate: |\n  {says}\n{more}"


def tree_file(path: str, content: str | bytes) -> TreeFile:
    data = content if isinstance(content, bytes) else content.encode()
    return TreeFile(path=path, data=data, size=len(data))


def tree_of(files: Mapping[str, str | bytes]) -> list[TreeFile]:
    """Files by path, sorted as a repository would give them."""
    return [tree_file(path, files[path]) for path in sorted(files)]


def library_of(files: Mapping[str, str | bytes], around: Surroundings | None = None) -> Library:
    return read_library(tree_of(files), around or Surroundings())


def codes(library: Library) -> list[str]:
    return [fault.code for fault in library.faults]

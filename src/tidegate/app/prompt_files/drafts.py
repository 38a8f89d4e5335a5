"""New prompt files as text: the first version of a prompt, and the next one made of an older."""

from importlib.resources import files
from string import Template
from typing import Literal, TypeAlias, get_args

from tidegate.kernel.documents import check_yaml
from tidegate.kernel.errors import Invalid
from tidegate.kernel.names import semver_key

__all__ = ["FIRST", "KINDS", "Bump", "Kind", "bumped", "first_text", "next_text"]

Bump: TypeAlias = Literal["major", "minor", "patch"]
Kind: TypeAlias = Literal["chat", "text", "fragment"]
KINDS: tuple[str, ...] = get_args(Kind)
FIRST = "1.0.0"


def bumped(version: str, part: Bump) -> str:
    """The next version: `patch` of 1.2.3 is 1.2.4, `minor` 1.3.0, `major` 2.0.0."""
    major, minor, patch = semver_key(version)
    if part == "major":
        return f"{major + 1}.0.0"
    return f"{major}.{minor + 1}.0" if part == "minor" else f"{major}.{minor}.{patch + 1}"


def first_text(name: str, kind: Kind, model: str) -> str:
    """A commented file for version 1.0.0; it passes lint as it is, where tidegate.yaml knows the model."""
    skeleton = files("tidegate.app.prompt_files").joinpath("skeletons", f"{kind}.yaml").read_text(encoding="utf-8")
    return Template(skeleton).substitute(name=name, version=FIRST, model=model)


def next_text(text: str, file: str, version: str) -> str:
    """The text with another version and everything else, comments too, as it was; raises Invalid."""
    document, faults = check_yaml(text, file)
    if document is None:
        raise faults[0]
    written = document.written(("version",))
    line, column = document.text_place(("version",), 1)
    lines = document.text.split("\n")
    before, after = lines[line - 1][: column - 1], lines[line - 1][column - 1 :]
    if not written or written not in after:
        raise Invalid(f"{file} does not say its version.", mend="Write `version: 1.0.0` in a line of its own.")
    lines[line - 1] = before + after.replace(written, version, 1)
    return "\n".join(lines)

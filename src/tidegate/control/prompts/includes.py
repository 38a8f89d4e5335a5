"""The includes of one prompt file, held against the fragments that they name."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import NamedTuple

from tidegate.control.prompts.files import Source
from tidegate.control.prompts.shape import IncludeBlock
from tidegate.control.prompts.texts import Use, included_names, text_fault
from tidegate.kernel.errors import InvalidDocument
from tidegate.kernel.names import semver_key

__all__ = ["Fragment", "check_listing", "include_faults"]


class Fragment(NamedTuple):
    """What a file is to those that include it. `text` has its own fragments woven in, and is None when it has errors.

    `depth` counts the fragments below each other, itself as one.
    """

    kind: str
    template_format: str
    text: str | None
    digest: str
    uses: Mapping[str, Use]
    depth: int = 1


def check_listing(source: Source) -> Iterator[InvalidDocument]:
    """Includes in templates that are not listed, and listed ones that no template includes."""
    used = included_names(source)
    listed = [include.name for include in source.file.includes]
    for name, place in used.items():
        if name not in listed:
            near = get_close_matches(name, listed, n=1)
            mend = f"Did you mean `{near[0]}`?" if near else f"List it: `includes: [{{name: {name}, version: ...}}]`."
            message = f"The fragment `{name}` is included, and not listed under `includes`."
            yield text_fault(source, place, message, mend, "include_undeclared")
    for index, name in enumerate(listed):
        if name not in used or name in listed[:index]:
            again = "listed twice" if name in listed[:index] else "listed, and included in no template"
            message = f"The fragment `{name}` is {again}."
            yield source.document.fault(("includes", index), message, mend="Take it out.", code="include_unused")


def include_faults(
    source: Source, index: int, found: Fragment | None, known: Mapping[str, list[str]]
) -> Iterator[InvalidDocument]:
    """What is wrong with one entry of `includes`; `found` is its file, `known` has the versions of each name."""
    include = source.file.includes[index]
    path = ("includes", index)
    name = f"{include.name} {include.version}"
    fault = source.document.fault
    if found is None:
        message = f"There is no fragment {name}."
        yield fault(path, message, mend=_nearest(include, known), code="include_missing")
    elif found.kind != "fragment":
        mend = "Only files with `kind: fragment` are included."
        yield fault(path, f"{name} is a prompt, not a fragment.", mend=mend, code="include_kind")
    elif found.template_format != source.file.template_format:
        message = f"{name} is written in {found.template_format}, this file in {source.file.template_format}."
        yield fault(path, message, mend="Write both in the same template_format.", code="include_kind")
    elif found.text is None:
        yield fault(path, f"{name} has errors of its own.", mend="Mend it first.", code="include_broken")
    elif include.sha256 is None:
        mend = f"Add `sha256: {found.digest}`."
        yield fault(path, f"The include of {name} is not pinned.", mend=mend, code="include_unpinned")
    elif include.sha256 != found.digest:
        message = f"{name} is not what was pinned: its content hash is {found.digest}."
        mend = "Write that hash if the change is meant, else restore the fragment."
        yield fault((*path, "sha256"), message, mend=mend, code="include_hash")


def _nearest(include: IncludeBlock, known: Mapping[str, list[str]]) -> str:
    versions = known.get(include.name)
    if versions:
        return f"{include.name} has {', '.join(sorted(versions, key=semver_key))}."
    near = get_close_matches(include.name, known, n=1)
    return f"Did you mean `{near[0]}`?" if near else "Write the fragment first."

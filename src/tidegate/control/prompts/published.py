"""Versions that were released must not change: what release tags say was released, against what files say now."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tidegate.control.prompts.library import Library, read_library
from tidegate.control.prompts.ports import PromptRepository, Tag
from tidegate.control.prompts.shape import VersionId, path_of
from tidegate.kernel.errors import InvalidDocument

__all__ = ["RELEASE_TAGS", "hashes_of_tags", "seal"]

RELEASE_TAGS = "release/"
_TAG_NAME = re.compile(r"release/[^/]+/(?P<prompt>[^/]+)/[0-9]+")
_LINE = re.compile(r"^(?P<key>version|content-hash): *(?P<value>\S+) *$", re.MULTILINE)


class _Claim(NamedTuple):
    """What a release tag says: that this version, of this content hash (if it tells one), was released at a commit."""

    version: VersionId
    digest: str | None
    sha: str


def hashes_of_tags(repository: PromptRepository, current: Mapping[VersionId, str]) -> dict[VersionId, str]:
    """The content hash of each version that a release tag names and `current` has, as it was when it was released.

    Where a tag's own word is not what the files say now, the tagged commit is read: it has the last word.
    """
    released: dict[VersionId, str] = {}
    read: dict[str, Mapping[VersionId, str]] = {}
    for claim in _claims(repository.tags(RELEASE_TAGS)):
        now = current.get(claim.version)
        if now is None or claim.version in released:
            continue
        if claim.digest == now:
            released[claim.version] = now
            continue
        if claim.sha not in read:
            read[claim.sha] = read_library(repository.files(claim.sha)).hashes
        then = read[claim.sha].get(claim.version, claim.digest)
        if then is not None:
            released[claim.version] = then
    return released


def seal(library: Library, published: Mapping[VersionId, str]) -> Library:
    """The library without the versions that changed after they were released, each a fault."""
    edited = [place for place, digest in published.items() if library.hashes.get(place, digest) != digest]
    if not edited:
        return library
    versions = {
        name: {number: version for number, version in numbered.items() if (name, number) not in edited}
        for name, numbered in library.versions.items()
    }
    faults = (*library.faults, *(_fault(*place) for place in edited))
    return library._replace(
        versions={name: numbered for name, numbered in versions.items() if numbered},
        faults=tuple(sorted(faults, key=lambda fault: (fault.file, fault.line or 0, fault.column or 0))),
    )


def _claims(tags: Iterable[Tag]) -> Iterable[_Claim]:
    for tag in tags:
        name = _TAG_NAME.fullmatch(tag.name)
        said = {found["key"]: found["value"] for found in _LINE.finditer(tag.message)}
        if name is not None and "version" in said:
            yield _Claim((name["prompt"], said["version"]), said.get("content-hash"), tag.sha)


def _fault(name: str, version: str) -> InvalidDocument:
    return InvalidDocument(
        f"{name} {version} was released, and has changed since.",
        file=path_of(name, version),
        line=1,
        column=1,
        mend=f"Restore it, and put the change into a new version: `tidegate prompt new {name} --bump patch`.",
        code="published_version_edited",
    )

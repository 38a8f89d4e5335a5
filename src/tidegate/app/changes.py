"""Which prompts a branch changes: the files on disk, committed or not, against the commit that it left from."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from tidegate.app.prompts_local import LocalPrompts
from tidegate.control.prompts.library import Library
from tidegate.control.prompts.ports import PROMPTS_ROOT, Commit
from tidegate.control.prompts.shape import VersionId, path_of
from tidegate.kernel.errors import Invalid
from tidegate.kernel.names import semver_key

__all__ = ["BASES", "Changed", "Changes", "changes_since", "everything"]

BASES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
"""Where a branch is taken to have left from, when nobody says: the first of these that there is."""


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """One version to be checked, and why: it is `new`, it was `edited` since the base, a fragment that it includes was
    (`fragment`), its golden dataset was (`dataset`), or everything is checked (`all`).
    """

    name: str
    version: str
    kind: str
    why: str

    @property
    def place(self) -> VersionId:
        return self.name, self.version


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What changed since `base` (None: everything is checked). `removed` are files that are gone; `broken` are files
    that cannot be read as a version at all; `remarks` are for people.
    """

    base: Commit | None
    base_ref: str
    versions: tuple[Changed, ...]
    removed: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def changes_since(prompts: LocalPrompts, library: Library, base: str | None) -> Changes:
    """What the working tree changes, since the newest commit that it shares with `base` (a branch, tag or commit; None:
    the first of BASES that there is). Raises NotFound, Unavailable, and Invalid without a base.
    """
    repository = prompts.repository
    ref = base or repository.first_of(BASES)
    if ref is None:
        raise Invalid(
            "There is no branch to compare with.",
            mend="Name one: --base BRANCH; or check everything: --all.",
            code="check_no_base",
        )
    tip = repository.resolve(ref)
    shared = repository.merge_base(ref, "HEAD")
    alone = f"{ref} and this branch share no commit here: compared with {ref} itself."
    commit = shared or tip
    before = prompts.library_at(commit.sha)
    versions = [*_versions(library, before), *_by_dataset(prompts, library, before, commit.sha)]
    removed = tuple(path_of(*place) for place in sorted(before.files.keys() - library.files.keys()))
    old = {file.path: file.data for file in repository.files(commit.sha)}
    broken = tuple(path for path in _unreadable(library) if old.get(path, b"") != _bytes(prompts.root / path))
    return Changes(
        base=commit,
        base_ref=ref,
        versions=tuple(sorted(versions, key=lambda one: (one.name, semver_key(one.version)))),
        removed=removed,
        broken=broken,
        remarks=() if shared is not None else (alone,),
    )


def everything(library: Library) -> Changes:
    """The newest version of every prompt and fragment."""
    newest: dict[str, str] = {}
    for name, version in sorted(library.files, key=lambda place: semver_key(place[1])):
        newest[name] = version
    versions = tuple(
        Changed(name=name, version=version, kind=library.files[name, version].kind, why="all")
        for name, version in sorted(newest.items())
    )
    return Changes(base=None, base_ref="", versions=versions, broken=tuple(_unreadable(library)))


def _versions(now: Library, before: Library) -> Iterator[Changed]:
    for place, file in now.files.items():
        if place not in before.files:
            why = "new"
        elif file != before.files[place]:
            why = "edited"
        elif now.hashes.get(place) != before.hashes.get(place):
            why = "fragment"
        else:
            continue
        yield Changed(name=place[0], version=place[1], kind=file.kind, why=why)


def _by_dataset(prompts: LocalPrompts, now: Library, before: Library, sha: str) -> Iterator[Changed]:
    """The newest versions whose own file is as it was, and whose golden dataset is not."""
    for one in everything(now).versions:
        tests = now.files[one.place].tests
        same = now.hashes.get(one.place) == before.hashes.get(one.place)
        if tests is None or tests.golden is None or one.place not in before.files or not same:
            continue
        if not prompts.repository.same_as(sha, tests.golden.dataset):
            yield msgspec.structs.replace(one, why="dataset")


def _unreadable(library: Library) -> list[str]:
    """Files that are no version, with what is wrong with them among the faults."""
    known = {path_of(*place) for place in library.files}
    return sorted({fault.file for fault in library.faults if fault.file.startswith(PROMPTS_ROOT)} - known)


def _bytes(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None

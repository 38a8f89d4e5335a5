"""Whether a version has the right number: the version before it is found, on disk or in Git, and both are compared."""

from collections.abc import Iterable

from tidegate.app.prompts_local import LocalPrompts
from tidegate.control.prompts.bumps.classify import check_bump, first_version
from tidegate.control.prompts.bumps.model import BumpAnswer, BumpCheck, Level, Reason
from tidegate.control.prompts.bumps.sides import Side, side_in
from tidegate.control.prompts.codes import is_error
from tidegate.control.prompts.library import Library
from tidegate.control.prompts.shape import path_of
from tidegate.kernel.errors import Invalid, InvalidDocument, NotFound
from tidegate.kernel.names import semver_key

__all__ = ["BumpAnswer", "BumpCheck", "Level", "Reason", "bump_of", "checked_bumps", "predecessor"]


def checked_bumps(prompts: LocalPrompts, name: str | None, version: str | None, against: str | None) -> list[BumpCheck]:
    """The newest version of every prompt (or of one), or one version, against the one before it.

    `against` is a version, or a commit, tag or branch whose newest version of the prompt counts as the one before.
    Raises NotFound for what is not there, InvalidDocument for a file that cannot be read.
    """
    library = prompts.library()
    known = sorted({place[0] for place in library.files})
    if name is not None and name not in known:
        raise NotFound("prompt", name, known=known)
    if name is None:
        newest = ((one, _versions(library, one)[-1]) for one in known)
        return [bump_of(prompts, library, place, against) for place in newest]
    there = _versions(library, name)
    if version is not None and version not in there:
        raise NotFound("prompt version", f"{name}@{version}", known=[f"{name}@{one}" for one in there])
    return [bump_of(prompts, library, (name, version or there[-1]), against)]


def bump_of(prompts: LocalPrompts, library: Library, place: tuple[str, str], against: str | None = None) -> BumpCheck:
    """One version against the one before it. Raises as `checked_bumps`."""
    name, version = place
    side = _side(library, place)
    if against is None or _is_version(against):
        before = against or predecessor(_versions(library, name), version)
        if before is None:
            return first_version(side)
        if before not in _versions(library, name):
            raise NotFound(
                "prompt version", f"{name}@{before}", known=[f"{name}@{one}" for one in _versions(library, name)]
            )
        if semver_key(before) >= semver_key(version):
            raise Invalid(f"{name} {before} is not before {version}.", mend="Name an older version.")
        return check_bump(_side(library, (name, before)), side)
    then = prompts.library_at(against)
    before = predecessor(_versions(then, name), version)
    return first_version(side) if before is None else check_bump(_side(then, (name, before)), side, ref=against)


def predecessor(versions: Iterable[str], version: str) -> str | None:
    """The highest of the versions that is lower; None when there is none."""
    lower = [one for one in versions if semver_key(one) < semver_key(version)]
    return max(lower, key=semver_key, default=None)


def _versions(library: Library, name: str) -> list[str]:
    return sorted((version for known, version in library.files if known == name), key=semver_key)


def _side(library: Library, place: tuple[str, str]) -> Side:
    side = side_in(library, place)
    if side is not None:
        return side
    path = path_of(*place)
    fault = next((fault for fault in library.faults if fault.file == path and is_error(fault.code)), None)
    raise fault or InvalidDocument(
        f"{place[0]} {place[1]} cannot be read.", file=path, mend="See `tidegate prompt lint`.", code="prompt_broken"
    )


def _is_version(text: str) -> bool:
    try:
        semver_key(text)
    except Invalid:
        return False
    return True

"""What may be a name: prompts, models, routes, environments, keys. One rule, so that a name is safe in a path, a tag
and a URL.
"""

import re

from tidegate.kernel.errors import Invalid

__all__ = ["NAME_PATTERN", "SEMVER_PATTERN", "check_name", "semver_key"]

NAME_PATTERN = r"^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"
SEMVER_PATTERN = r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$"

_NAME = re.compile(NAME_PATTERN)
_SEMVER = re.compile(SEMVER_PATTERN)


def check_name(kind: str, name: str) -> str:
    """Return the name, or raise Invalid when it is not 1-64 of `a-z 0-9 . _ -`, beginning and ending with a letter or
    digit.
    """
    if not _NAME.fullmatch(name) or ".." in name or name.endswith(".lock"):  # Git refuses the last in a tag
        raise Invalid(
            f"{name!r} cannot be the name of a {kind}.",
            mend="Use 1 to 64 of a-z, 0-9, '.', '_', '-', beginning and ending with a letter or digit; "
            "no '..', and no '.lock' at the end.",
            code="invalid_name",
        )
    return name


def semver_key(version: str) -> tuple[int, int, int]:
    """Return (major, minor, patch), to sort by; raises Invalid for anything that is not MAJOR.MINOR.PATCH (semver.org
    2.0.0, no suffix).
    """
    match = _SEMVER.fullmatch(version)
    if match is None:
        raise Invalid(
            f"{version!r} is not a version.", mend="Write MAJOR.MINOR.PATCH, for example 1.2.0.", code="invalid_version"
        )
    return int(match[1]), int(match[2]), int(match[3])

"""A name is safe in a path, a Git tag and a URL."""

import pytest

from tidegate.kernel.errors import Invalid
from tidegate.kernel.names import check_name, semver_key


@pytest.mark.parametrize("name", ["a", "support-answer", "team.faq_2", "0x", "a" * 64])
def test_good_names(name: str) -> None:
    assert check_name("prompt", name) == name


@pytest.mark.parametrize(
    "name", ["", "A", "-a", "a-", "a..b", "a/b", "a b", "../x", "a\n", "ä", "a" * 65, ".git", "x.lock"]
)
def test_bad_names_are_refused_with_the_rule(name: str) -> None:
    with pytest.raises(Invalid, match="cannot be the name of a prompt"):
        check_name("prompt", name)


def test_versions_sort_as_numbers() -> None:
    assert sorted(["1.10.0", "1.9.9", "0.2.0"], key=semver_key) == ["0.2.0", "1.9.9", "1.10.0"]


@pytest.mark.parametrize("version", ["1", "1.0", "v1.0.0", "1.0.0-rc1", "01.0.0", "1.0.0\n", ""])
def test_what_is_no_version_is_refused(version: str) -> None:
    with pytest.raises(Invalid, match="is not a version"):
        semver_key(version)

"""Remote repositories, by URL and by name: clone, fetch, push, and what can go wrong with each."""

from pathlib import Path

import pygit2
import pytest

from tests.support.repositories import Workbench
from tidegate.adapters.git.remotes import is_url
from tidegate.adapters.git.repository import GitRepository
from tidegate.kernel.errors import Conflict, Unavailable

ONE = "prompts/greeting/v1.0.0.yaml"
TWO = "prompts/greeting/v1.1.0.yaml"
TAG = "release/production/greeting/1"


@pytest.fixture
def origin(tmp_path: Path) -> Workbench:
    bench = Workbench(tmp_path / "origin.git", bare=True)
    bench.commit_bare("first", {ONE: "one"})
    return bench


@pytest.fixture
def copy(origin: Workbench, tmp_path: Path) -> GitRepository:
    """The origin, read by URL."""
    return GitRepository(f"file://{origin.folder}", state_dir=tmp_path / "state")


def head_of(repository: GitRepository) -> str:
    head = repository.head()
    assert head is not None
    return head.sha


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("https://example.org/p.git", True),
        ("ssh://git@example.org/p.git", True),
        ("git@example.org:team/p.git", True),
        ("file:///srv/p", True),
        ("HTTPS://example.org", True),
        (".", False),
        ("../prompts", False),
        ("/srv/git/p.git", False),
        ("C:\\prompts", False),
        ("a@b/c:d", False),
    ],
)
def test_what_is_a_url(location: str, url: bool) -> None:
    assert is_url(location) is url


def test_a_url_is_copied_once_and_fetched_when_asked(origin: Workbench, copy: GitRepository, tmp_path: Path) -> None:
    first = origin.tip()
    assert head_of(copy) == first
    second = origin.commit_bare("second", {ONE: "one", TWO: "two"})
    assert head_of(copy) == first
    copy.fetch()
    assert head_of(copy) == second
    assert [file.path for file in copy.files(second)] == [ONE, TWO]
    assert copy.dirty() == ()
    folders = list((tmp_path / "state" / "git").iterdir())
    assert len(folders) == 1  # and nothing half-cloned beside it


def test_tags_and_reverts_go_back_to_the_origin(origin: Workbench, copy: GitRepository) -> None:
    added = origin.commit_bare("second", {ONE: "one", TWO: "two"})
    copy.fetch()
    copy.tag(TAG, added, "deploy", "Ada")
    made = copy.revert(added, ["prompts/greeting"], "revert", "Ada")
    copy.push([f"refs/tags/{TAG}", "refs/heads/main"])
    assert origin.tip() == made.sha
    assert [tag.name for tag in GitRepository(str(origin.folder)).tags("release/")] == [TAG]
    copy.push([f"refs/tags/{TAG}"])  # again is nothing
    copy.push([])


def test_a_revert_that_is_not_pushed_yet_survives_a_fetch_and_is_merged(origin: Workbench, copy: GitRepository) -> None:
    added = origin.commit_bare("second", {ONE: "one", TWO: "two"})
    copy.fetch()
    reverted = copy.revert(added, ["prompts/greeting"], "revert", "Ada")
    copy.fetch()
    assert head_of(copy) == reverted.sha
    third = origin.commit_bare("third", {ONE: "one", TWO: "two", "prompts/other/v1.0.0.yaml": "x"})
    with pytest.raises(Unavailable) as raised:
        copy.push(["refs/heads/main"])
    assert "push" in raised.value.message
    copy.fetch()
    merged = head_of(copy)
    assert [file.path for file in copy.files(merged)] == [ONE, "prompts/other/v1.0.0.yaml"]
    assert {one.sha for one in copy.log("prompts", 20)} >= {third, reverted.sha}
    copy.push(["refs/heads/main"])
    assert origin.tip() == merged


def test_a_clash_of_both_sides_is_a_conflict_and_the_old_state_is_kept(origin: Workbench, copy: GitRepository) -> None:
    changed = origin.commit_bare("change", {ONE: "two"})
    copy.fetch()
    reverted = copy.revert(changed, ["prompts/greeting"], "revert", "Ada")
    origin.commit_bare("change again", {ONE: "three"})
    with pytest.raises(Conflict) as raised:
        copy.fetch()
    assert raised.value.code == "git_diverged"
    assert head_of(copy) == reverted.sha


def test_an_origin_that_is_away_is_told_and_the_copy_serves_on(
    origin: Workbench, copy: GitRepository, tmp_path: Path
) -> None:
    first = head_of(copy)
    origin.folder.rename(tmp_path / "moved.git")
    with pytest.raises(Unavailable) as raised:
        copy.fetch()
    assert raised.value.code == "git_unavailable"
    assert head_of(copy) == first
    with pytest.raises(Unavailable):
        copy.push(["refs/heads/main"])


def test_an_origin_that_never_was_is_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    repository = GitRepository(f"file://{tmp_path}/nowhere.git", state_dir=tmp_path / "state")
    with pytest.raises(Unavailable, match=r"nowhere\.git"):
        repository.head()
    assert list((tmp_path / "state" / "git").iterdir()) == []


def test_an_empty_origin_is_an_empty_repository(tmp_path: Path) -> None:
    origin = Workbench(tmp_path / "empty.git", bare=True)
    repository = GitRepository(f"file://{origin.folder}", state_dir=tmp_path / "state")
    assert repository.head() is None
    origin.commit_bare("first", {ONE: "one"})
    repository.fetch()
    assert head_of(repository) == origin.tip()


def test_a_working_tree_with_a_remote_pushes_to_it_and_fetches_tags(origin: Workbench, tmp_path: Path) -> None:
    clone = pygit2.clone_repository(str(origin.folder), str(tmp_path / "clone"))
    repository = GitRepository(clone.workdir, remote="origin")
    sha = head_of(repository)
    repository.tag(TAG, sha, "deploy", "Ada")
    repository.push([f"refs/tags/{TAG}"])
    assert [tag.name for tag in GitRepository(str(origin.folder)).tags("")] == [TAG]
    GitRepository(str(origin.folder)).tag("release/staging/greeting/1", sha, "deploy", "Bob")
    repository.fetch()
    assert len(repository.tags("release/")) == 2
    assert head_of(repository) == sha  # one's own branch is one's own


def test_without_a_remote_fetch_and_push_are_nothing(tmp_path: Path) -> None:
    bench = Workbench(tmp_path / "repo")
    bench.commit("first", {ONE: "one"})
    GitRepository(str(bench.folder)).fetch()
    GitRepository(str(bench.folder)).push(["refs/heads/main"])


def test_a_remote_that_is_not_configured_is_told(tmp_path: Path) -> None:
    bench = Workbench(tmp_path / "repo")
    bench.commit("first", {ONE: "one"})
    with pytest.raises(Unavailable, match="upstream"):
        GitRepository(str(bench.folder), remote="upstream").fetch()

"""Reverting what a commit did to one prompt: on the branch, and in a working tree that is clean there."""

import shutil
import subprocess
from pathlib import Path

import pygit2
import pytest

from tests.support.repositories import Workbench
from tidegate.adapters.git.repository import GitRepository
from tidegate.kernel.errors import Conflict, NotFound

ONE = "prompts/greeting/v1.0.0.yaml"
TWO = "prompts/greeting/v1.1.0.yaml"
OTHER = "prompts/other/v1.0.0.yaml"
FOLDER = ["prompts/greeting"]


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    bench = Workbench(tmp_path / "repo")
    bench.commit("first", {ONE: "one\n", OTHER: "other\n", "README.md": "x\n"})
    return bench


def paths(bench: Workbench, sha: str) -> list[str]:
    return [file.path for file in GitRepository(str(bench.folder)).files(sha)]


def test_a_revert_is_a_commit_that_takes_the_version_away_again(bench: Workbench) -> None:
    added = bench.commit("add 1.1.0", {TWO: "two\n"})
    later = bench.commit("later", {OTHER: "changed\n"})
    made = GitRepository(str(bench.folder)).revert(added, FOLDER, "Revert greeting 1.1.0\n\nactor: ada", "Ada")
    assert (made.author, made.message.splitlines()[0]) == ("Ada", "Revert greeting 1.1.0")
    assert bench.tip() == made.sha
    commit = bench.git[made.sha].peel(pygit2.Commit)
    assert [str(parent.id) for parent in commit.parents] == [later]
    assert paths(bench, made.sha) == [ONE, OTHER]
    assert not (bench.folder / TWO).exists()
    assert (bench.folder / OTHER).read_text() == "changed\n"
    assert bench.git.status() == {}


def test_what_the_commit_did_elsewhere_stays(bench: Workbench) -> None:
    both = bench.commit("two prompts at once", {TWO: "two\n", ONE: "edited\n", OTHER: "changed\n", "README.md": "y\n"})
    made = GitRepository(str(bench.folder)).revert(both, FOLDER, "revert", "Ada")
    assert paths(bench, made.sha) == [ONE, OTHER]
    assert (bench.folder / ONE).read_text() == "one\n"
    assert (bench.folder / OTHER).read_text() == "changed\n"
    assert (bench.folder / "README.md").read_text() == "y\n"
    assert bench.git.status() == {}


def test_the_very_first_commit_can_be_reverted(bench: Workbench) -> None:
    first = bench.tip()
    made = GitRepository(str(bench.folder)).revert(first, FOLDER, "revert", "Ada")
    assert paths(bench, made.sha) == [OTHER]
    assert not (bench.folder / "prompts" / "greeting").exists()


def test_a_merge_is_reverted_against_its_first_parent(bench: Workbench) -> None:
    base = bench.tip()
    bench.git.create_branch("work", bench.git[base].peel(pygit2.Commit))
    bench.commit("on main", {"README.md": "main\n"})
    bench.git.checkout("refs/heads/work")
    added = bench.commit("add", {TWO: "two\n"})
    bench.git.checkout("refs/heads/main")
    merged = bench.merge(added)
    made = GitRepository(str(bench.folder)).revert(merged, FOLDER, "revert", "Ada")
    assert paths(bench, made.sha) == [ONE, OTHER]


def test_changes_of_ones_own_in_the_prompts_folder_are_not_touched(bench: Workbench) -> None:
    added = bench.commit("add 1.1.0", {TWO: "two\n"})
    tip = bench.tip()
    bench.write({TWO: "unsaved work\n"})
    with pytest.raises(Conflict) as raised:
        GitRepository(str(bench.folder)).revert(added, FOLDER, "revert", "Ada")
    assert raised.value.code == "working_tree_dirty"
    assert TWO in raised.value.message
    assert bench.tip() == tip
    assert (bench.folder / TWO).read_text() == "unsaved work\n"


def test_changes_of_ones_own_elsewhere_stay_as_they_are(bench: Workbench) -> None:
    added = bench.commit("add 1.1.0", {TWO: "two\n"})
    bench.write({OTHER: "unsaved\n", "README.md": "staged\n", "prompts/new/v1.0.0.yaml": "untracked\n"})
    bench.git.index.add("README.md")
    bench.git.index.write()
    GitRepository(str(bench.folder)).revert(added, FOLDER, "revert", "Ada")
    assert (bench.folder / OTHER).read_text() == "unsaved\n"
    status = bench.git.status()
    assert status == {
        OTHER: pygit2.enums.FileStatus.WT_MODIFIED,
        "README.md": pygit2.enums.FileStatus.INDEX_MODIFIED,
        "prompts/new/v1.0.0.yaml": pygit2.enums.FileStatus.WT_NEW,
    }


def test_a_branch_that_is_not_checked_out_moves_alone(bench: Workbench) -> None:
    added = bench.commit("add 1.1.0", {TWO: "two\n"})
    bench.git.create_branch("work", bench.git[added].peel(pygit2.Commit))
    bench.git.checkout("refs/heads/work")
    bench.write({TWO: "unsaved\n"})
    made = GitRepository(str(bench.folder)).revert(added, FOLDER, "revert", "Ada")
    assert bench.tip("main") == made.sha
    assert bench.tip("work") == added
    assert (bench.folder / TWO).read_text() == "unsaved\n"


def test_a_bare_repository_can_be_reverted_in(tmp_path: Path) -> None:
    bench = Workbench(tmp_path / "bare.git", bare=True)
    bench.commit_bare("first", {ONE: "one"})
    added = bench.commit_bare("second", {ONE: "one", TWO: "two"})
    made = GitRepository(str(bench.folder)).revert(added, FOLDER, "revert", "Ada")
    assert paths(bench, made.sha) == [ONE]


def test_what_later_commits_changed_too_is_a_conflict_and_nothing_moves(bench: Workbench) -> None:
    changed = bench.commit("change", {ONE: "two\n"})
    tip = bench.commit("change again", {ONE: "three\n"})
    with pytest.raises(Conflict) as raised:
        GitRepository(str(bench.folder)).revert(changed, FOLDER, "revert", "Ada")
    assert raised.value.code == "revert_conflict"
    assert ONE in raised.value.message
    assert bench.tip() == tip
    assert bench.git.status() == {}


def test_a_conflict_elsewhere_does_not_matter(bench: Workbench) -> None:
    both = bench.commit("both", {TWO: "two\n", OTHER: "a\n"})
    bench.commit("other again", {OTHER: "b\n"})
    made = GitRepository(str(bench.folder)).revert(both, FOLDER, "revert", "Ada")
    assert paths(bench, made.sha) == [ONE, OTHER]
    assert (bench.folder / OTHER).read_text() == "b\n"


def test_a_second_revert_finds_nothing_to_do(bench: Workbench) -> None:
    added = bench.commit("add 1.1.0", {TWO: "two\n"})
    repository = GitRepository(str(bench.folder))
    repository.revert(added, FOLDER, "revert", "Ada")
    with pytest.raises(Conflict) as raised:
        repository.revert(added, FOLDER, "revert", "Ada")
    assert raised.value.code == "nothing_to_revert"


def test_there_must_be_a_branch_and_a_commit(bench: Workbench, tmp_path: Path) -> None:
    sha = bench.tip()
    bench.git.set_head(pygit2.Oid(hex=sha))
    with pytest.raises(Conflict) as raised:
        GitRepository(str(bench.folder), branch=None).revert(sha, FOLDER, "revert", "Ada")
    assert raised.value.code == "no_branch"
    with pytest.raises(NotFound):
        GitRepository(str(bench.folder)).revert("f" * 40, FOLDER, "revert", "Ada")
    empty = Workbench(tmp_path / "empty")
    with pytest.raises((Conflict, NotFound)):
        GitRepository(str(empty.folder)).revert(sha, FOLDER, "revert", "Ada")


def test_a_folder_within_a_repository_reverts_its_own_paths(bench: Workbench) -> None:
    bench.commit("first of team", {f"team/{ONE}": "one\n"})
    added = bench.commit("both", {f"team/{TWO}": "two\n", TWO: "two\n"})
    made = GitRepository(str(bench.folder / "team")).revert(added, FOLDER, "revert", "Ada")
    assert TWO in paths(bench, made.sha)
    assert not (bench.folder / "team" / TWO).exists()
    assert (bench.folder / TWO).exists()


@pytest.mark.skipif(shutil.which("git") is None, reason="the git command is the oracle here")
def test_it_leaves_what_git_revert_would_leave(bench: Workbench, tmp_path: Path) -> None:
    added = bench.commit("add", {TWO: "two\n", ONE: "one\nand more\n"})
    bench.commit("later", {"README.md": "z\n"})
    twin = tmp_path / "twin"
    shutil.copytree(bench.folder, twin)
    command = ["git", "-c", "safe.directory=*", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(twin)]
    subprocess.run([*command, "revert", "--no-edit", added], check=True, capture_output=True)
    theirs = pygit2.Repository(str(twin)).head.peel(pygit2.Commit)
    made = GitRepository(str(bench.folder)).revert(added, FOLDER, "revert", "Ada")
    assert bench.git[made.sha].peel(pygit2.Commit).tree_id == theirs.tree_id

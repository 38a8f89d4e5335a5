"""Reading repositories of every kind, and tags."""

import shutil
import subprocess
from pathlib import Path

import pygit2
import pytest

from tests.support.promptfiles import prompt_text
from tests.support.repositories import FIRST_AT_S, Workbench
from tidegate.adapters.git.repository import GitRepository, open_repository
from tidegate.control.prompts.library import read_library
from tidegate.control.prompts.ports import Commit, TreeFile
from tidegate.kernel.errors import Conflict, Invalid, NotFound, Unavailable

ONE = "prompts/greeting/v1.0.0.yaml"
TWO = "prompts/greeting/v1.1.0.yaml"


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path / "repo")


def at(bench: Workbench, **options: str | None) -> GitRepository:
    return GitRepository(str(bench.folder), **options)  # type: ignore[arg-type]


def test_an_empty_repository_has_no_head_and_no_history(bench: Workbench) -> None:
    repository = at(bench)
    assert repository.head() is None
    assert repository.log("prompts", 10) == []
    assert repository.tags("") == []
    assert repository.dirty() == ()
    with pytest.raises(NotFound):
        repository.introduced(ONE)
    bench.write({ONE: prompt_text()})
    assert repository.dirty() == (ONE,)
    assert at(bench, branch=None).head() is None


def test_only_what_is_committed_is_read(bench: Workbench) -> None:
    sha = bench.commit("first", {ONE: "one", "README.md": "x"}, author="Grace")
    bench.write({ONE: "edited", TWO: "new", "README.md": "y", "datasets/d.jsonl": "z"})
    repository = at(bench)
    assert repository.head() == Commit(sha=sha, author="Grace", at_ms=(FIRST_AT_S + 60) * 1000, message="first")
    assert repository.files(sha) == [TreeFile(path=ONE, data=b"one", size=3)]
    assert repository.dirty() == (ONE, TWO)
    assert [repository.exists(sha, path) for path in (ONE, "README.md", TWO, "prompts")] == [True, True, False, False]


def test_staged_and_deleted_files_are_dirty_and_ignored_ones_are_not(bench: Workbench) -> None:
    bench.commit("first", {ONE: "one", TWO: "two", ".gitignore": "*.bak\n"})
    bench.write({ONE: None, TWO: "staged", "prompts/greeting/notes.bak": "x"})
    bench.git.index.add(TWO)
    bench.git.index.write()
    assert at(bench).dirty() == (ONE, TWO)


def test_a_bare_repository_is_read_and_is_never_dirty(tmp_path: Path) -> None:
    bench = Workbench(tmp_path / "bare.git", bare=True)
    assert at(bench).head() is None
    sha = bench.commit_bare("first", {ONE: "one"})
    repository = at(bench)
    assert repository.head() is not None
    assert [file.path for file in repository.files(sha)] == [ONE]
    assert repository.dirty() == ()


def test_the_named_branch_is_read_whatever_is_checked_out(bench: Workbench) -> None:
    main = bench.commit("main", {ONE: "one"})
    bench.git.create_branch("work", bench.git[main].peel(pygit2.Commit))
    bench.git.set_head("refs/heads/work")
    work = bench.commit("work", {ONE: "two"})
    assert [head.sha if (head := at(bench, branch=name).head()) else None for name in ("main", "work", None)] == [
        main,
        work,
        work,
    ]
    with pytest.raises(NotFound) as raised:
        at(bench, branch="mian").head()
    assert "Did you mean main?" in raised.value.mend


def test_a_detached_head_is_read_where_no_branch_is_named(bench: Workbench) -> None:
    first = bench.commit("first", {ONE: "one"})
    bench.commit("second", {ONE: "two"})
    bench.git.set_head(pygit2.Oid(hex=first))
    assert bench.git.head_is_detached
    head = at(bench, branch=None).head()
    assert head is not None
    assert head.sha == first
    newest = at(bench).head()
    assert newest is not None
    assert newest.message == "second"


def test_good_files_are_served_beside_a_broken_one(bench: Workbench) -> None:
    sha = bench.commit_bare(
        "all sorts",
        {
            ONE: prompt_text(),
            "prompts/crlf/v1.0.0.yaml": prompt_text("crlf").replace("\n", "\r\n"),
            "prompts/broken/v1.0.0.yaml": "name: [",
            "prompts/latin/v1.0.0.yaml": "name: caf\xe9".encode("latin-1"),
            "prompts/huge/v1.0.0.yaml": b"#" * (1024 * 1024 + 1),
            "prompts/notes.md": "hello",
        },
        links={"prompts/link/v1.0.0.yaml": "../../../../etc/passwd", "prompts/folder": "/etc"},
    )
    library = read_library(at(bench).files(sha))
    assert sorted(library.versions) == ["crlf", "greeting"]
    assert sorted((fault.file, fault.code) for fault in library.faults) == [
        ("prompts/broken/v1.0.0.yaml", "yaml_syntax"),
        ("prompts/folder", "file_link"),
        ("prompts/huge/v1.0.0.yaml", "yaml_too_large"),
        ("prompts/latin/v1.0.0.yaml", "not_utf8"),
        ("prompts/link/v1.0.0.yaml", "file_link"),
    ]
    same = read_library([TreeFile(path="prompts/crlf/v1.0.0.yaml", data=prompt_text("crlf").encode(), size=1)])
    assert library.hashes["crlf", "1.0.0"] == same.hashes["crlf", "1.0.0"]


def test_prompts_that_are_a_link_or_a_file_are_not_followed(bench: Workbench) -> None:
    sha = bench.commit_bare("link", {}, links={"prompts": "/etc"})
    assert [(file.path, file.link) for file in at(bench).files(sha)] == [("prompts/.", True)]
    assert at(bench).files(bench.commit_bare("file", {"prompts": "x"})) == []
    assert at(bench).files(bench.commit_bare("nothing", {"README.md": "x"})) == []


def test_history_follows_a_path_and_says_when_it_was_added(bench: Workbench) -> None:
    added = bench.commit("add 1.0.0", {ONE: "one"})
    bench.commit("readme", {"README.md": "x"})
    changed = bench.commit("change", {ONE: "two"})
    other = bench.commit("add 1.1.0", {TWO: "one"})
    gone = bench.commit("remove", {ONE: None})
    repository = at(bench)
    assert [one.sha for one in repository.log(ONE, 10)] == [gone, changed, added]
    assert [one.sha for one in repository.log("prompts/greeting", 3)] == [gone, other, changed]
    assert repository.introduced(ONE).sha == added
    again = bench.commit("add again", {ONE: "three"})
    assert repository.introduced(ONE).sha == again
    assert repository.introduced(TWO).sha == other
    with pytest.raises(NotFound):
        repository.introduced("prompts/nobody/v1.0.0.yaml")


def test_what_came_in_by_a_merge_was_added_on_its_own_branch(bench: Workbench) -> None:
    base = bench.commit("base", {"README.md": "x"})
    bench.git.create_branch("work", bench.git[base].peel(pygit2.Commit))
    bench.commit("elsewhere", {"README.md": "y"})
    bench.git.checkout("refs/heads/work")
    added = bench.commit("add", {ONE: "one"})
    bench.git.checkout("refs/heads/main")
    bench.merge(added)
    repository = at(bench)
    assert repository.introduced(ONE).sha == added
    assert [one.sha for one in repository.log(ONE, 10)] == [added]


def test_a_folder_within_a_repository_has_its_own_prompts(bench: Workbench) -> None:
    sha = bench.commit("first", {f"team/a/{ONE}": "one", "prompts/other/v1.0.0.yaml": "x", "team/a/data.jsonl": "d"})
    repository = GitRepository(str(bench.folder / "team" / "a"))
    assert [file.path for file in repository.files(sha)] == [ONE]
    assert repository.exists(sha, "data.jsonl")
    bench.write({f"team/a/{TWO}": "two", "prompts/other/v1.0.0.yaml": "y"})
    assert repository.dirty() == (TWO,)
    assert repository.introduced(ONE).sha == sha


def test_tags_are_annotated_and_do_not_move(bench: Workbench) -> None:
    first = bench.commit("first", {ONE: "one"})
    second = bench.commit("second", {ONE: "two"})
    repository = at(bench)
    name = "release/production/greeting/1"
    repository.tag(name, first, "deploy greeting\n\nactor: Ada <x>\n", "Ada <ada@example.org>\nEvil: header")
    repository.tag(name, first, "the same again", "Ada")
    bench.git.references.create("refs/tags/release/light", bench.git[second].id)
    bench.git.references.create("refs/tags/release/tree", bench.git[second].peel(pygit2.Tree).id)
    tags = repository.tags("release/")
    assert [(tag.name, tag.sha) for tag in tags] == [("release/light", second), (name, first)]
    assert tags[0].message == ""
    assert tags[1].message.startswith("deploy greeting")
    with pytest.raises(Conflict) as raised:
        repository.tag(name, second, "moved", "Ada")
    assert raised.value.code == "tag_exists"
    with pytest.raises(Invalid):
        repository.tag("bad name?", first, "x", "Ada")
    with pytest.raises(NotFound):
        repository.tag("release/x/y/1", "f" * 40, "x", "Ada")
    written = bench.git[bench.git.references[f"refs/tags/{name}"].target]
    assert isinstance(written, pygit2.Tag)
    assert written.tagger.name == "Ada ada@example.orgEvil: header"


@pytest.mark.skipif(shutil.which("git") is None, reason="the git command is the oracle here")
def test_git_itself_agrees_with_what_was_written(bench: Workbench) -> None:
    sha = bench.commit("first", {ONE: "one"})
    at(bench).tag("release/production/greeting/1", sha, "deploy\n\nversion: 1.0.0\n", "Ada")

    def git(*arguments: str) -> str:
        command = ["git", "-c", f"safe.directory={bench.folder}", "-C", str(bench.folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert git("cat-file", "-t", "release/production/greeting/1") == "tag"
    assert git("rev-parse", "release/production/greeting/1^{commit}") == sha
    assert "version: 1.0.0" in git("for-each-ref", "--format=%(contents)", "refs/tags")
    assert git("fsck", "--strict") == ""


def test_what_is_no_repository_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="Git repository"):
        GitRepository(str(tmp_path)).head()
    with pytest.raises(NotFound):
        GitRepository(str(tmp_path / "nowhere")).head()


def test_an_unknown_commit_is_told(bench: Workbench) -> None:
    bench.commit("first", {ONE: "one"})
    for sha in ("f" * 40, "no such thing", ""):
        with pytest.raises(NotFound, match="commit"):
            at(bench).files(sha)


def test_a_damaged_repository_is_unavailable_and_names_the_place(bench: Workbench) -> None:
    sha = bench.commit("first", {ONE: "one"})
    shutil.rmtree(bench.folder / ".git" / "objects")
    (bench.folder / ".git" / "objects").mkdir()
    for call in (lambda: at(bench).head(), lambda: at(bench).log("prompts", 5)):
        with pytest.raises((Unavailable, NotFound)) as raised:
            call()
        assert str(bench.folder) in raised.value.message or sha in raised.value.message


def test_a_repository_opened_by_configuration_is_where_it_says(tmp_path: Path) -> None:
    class Source:
        branch = "main"
        remote: str | None = None

        def __init__(self, repository: str) -> None:
            self.repository = repository

    class Place:
        workspace = tmp_path
        state_dir = tmp_path / ".tidegate"

    assert open_repository(Source("."), Place(), {}).location == str(tmp_path)
    assert open_repository(Source("../p"), Place(), {}).location == f"{tmp_path}/../p"
    assert open_repository(Source("/srv/p"), Place(), {}).location == "/srv/p"
    for url in ("https://example.org/p.git", "git@example.org:p.git", "ssh://example.org/p", "file:///srv/p"):
        assert open_repository(Source(url), Place(), {"TIDEGATE_GIT_TOKEN": "t"}).location == url

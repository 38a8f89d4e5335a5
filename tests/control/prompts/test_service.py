"""The verbs of prompts over a real repository and a real database."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from tests.support.databases import fresh_sqlite
from tests.support.promptfiles import fragment_text, prompt_text
from tests.support.repositories import Workbench
from tidegate.adapters.git.repository import GitRepository
from tidegate.adapters.sqlite.database import SqliteDatabase
from tidegate.control.identity.model import Actor
from tidegate.control.prompts.model import Registered
from tidegate.control.prompts.service import Prompts
from tidegate.kernel.errors import Conflict, Invalid, InvalidDocument, InvalidVariables, NotFound, Unavailable

ADA = Actor("user_1", "ada", ("editor",))
ONE = "prompts/greeting/v1.0.0.yaml"
TWO = "prompts/greeting/v1.1.0.yaml"


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path / "repo")


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    db = await fresh_sqlite(tmp_path)
    yield db
    await db.close()


@pytest.fixture
def prompts(db: SqliteDatabase, bench: Workbench) -> Prompts:
    return Prompts(db, GitRepository(str(bench.folder)))


async def register(db: SqliteDatabase, prompts: Prompts, version: str = "1.0.0", name: str = "greeting") -> Registered:
    async with db.write() as tx:
        return await prompts.register(tx, ADA, name, version)


async def test_an_empty_repository_holds_nothing_and_says_why(
    db: SqliteDatabase, prompts: Prompts, bench: Workbench
) -> None:
    scan = await prompts.scan()
    assert (scan.commit, scan.versions, scan.faults, scan.dirty) == (None, {}, (), ())
    with pytest.raises(NotFound) as raised:
        await register(db, prompts)
    assert "no commit yet" in raised.value.mend
    bench.write({ONE: prompt_text()})
    with pytest.raises(NotFound) as raised:
        await register(db, prompts)
    assert f"{ONE} is not committed" in raised.value.mend


async def test_a_scan_tells_what_is_good_what_is_broken_and_what_is_not_committed(
    prompts: Prompts, bench: Workbench
) -> None:
    sha = bench.commit("first", {ONE: prompt_text(), "prompts/broken/v1.0.0.yaml": "name: ["})
    bench.write({TWO: prompt_text(version="1.1.0")})
    scan = await prompts.scan()
    assert scan.commit is not None
    assert scan.commit.sha == sha
    assert list(scan.versions) == ["greeting"]
    assert [fault.code for fault in scan.faults] == ["yaml_syntax"]
    assert scan.dirty == (TWO,)
    bench.commit("second")
    assert sorted((await prompts.scan()).versions["greeting"]) == ["1.0.0", "1.1.0"]


async def test_datasets_must_be_committed_too(prompts: Prompts, bench: Workbench) -> None:
    tests = "tests: {golden: {dataset: datasets/greeting.jsonl}}\n"
    bench.commit("first", {ONE: prompt_text(more=tests)})
    bench.write({"datasets/greeting.jsonl": "{}\n"})
    assert [fault.code for fault in (await prompts.scan()).faults] == ["dataset_missing"]
    bench.commit("dataset")
    assert (await prompts.scan()).faults == ()


async def test_a_version_is_registered_from_the_newest_commit_and_stays(
    db: SqliteDatabase, prompts: Prompts, bench: Workbench
) -> None:
    first = bench.commit("first", {ONE: prompt_text()})
    kept = await register(db, prompts)
    assert (kept.new, kept.commit, kept.version.version) == (True, first, "1.0.0")
    bench.commit("second", {TWO: prompt_text(version="1.1.0")})
    again = await register(db, prompts)
    assert again == msgspec.structs.replace(kept, new=False)
    bench.commit("gone", {ONE: None})
    assert await register(db, prompts) == again
    assert await prompts.get("greeting", "1.0.0") == kept.version


async def test_a_rolled_back_transaction_keeps_nothing(db: SqliteDatabase, prompts: Prompts, bench: Workbench) -> None:
    bench.commit("first", {ONE: prompt_text()})

    async def fail() -> None:
        async with db.write() as tx:
            await prompts.register(tx, ADA, "greeting", "1.0.0")
            raise Conflict("the rest did not work")

    with pytest.raises(Conflict):
        await fail()
    assert (await register(db, prompts)).new


async def test_an_edited_version_is_refused_and_the_kept_one_is_served(
    db: SqliteDatabase, prompts: Prompts, bench: Workbench
) -> None:
    bench.commit("first", {ONE: prompt_text()})
    kept = await register(db, prompts)
    bench.commit("comment only", {ONE: "# a comment\n" + prompt_text()})
    assert not (await register(db, prompts)).new
    bench.commit("edit", {ONE: prompt_text(says="Hi {{ name }}.")})
    with pytest.raises(Conflict) as raised:
        await register(db, prompts)
    assert raised.value.code == "published_version_edited"
    assert kept.commit[:10] in raised.value.message
    assert "--bump patch" in raised.value.mend
    scan = await prompts.scan()
    assert [fault.code for fault in scan.faults] == ["published_version_edited"]
    assert scan.versions == {}
    assert await prompts.get("greeting", "1.0.0") == kept.version
    bench.commit("restore", {ONE: prompt_text()})
    assert (await prompts.scan()).faults == ()


async def test_a_release_tag_protects_a_version_that_this_database_never_saw(
    db: SqliteDatabase, prompts: Prompts, bench: Workbench
) -> None:
    first = bench.commit("first", {ONE: prompt_text()})
    text = "deploy greeting to 1.0.0 in production\n\nversion: 1.0.0\n"
    GitRepository(str(bench.folder)).tag("release/production/greeting/1", first, text, "ada")
    bench.commit("edit", {ONE: prompt_text(says="Hi {{ name }}.")})
    with pytest.raises(InvalidDocument) as raised:
        await register(db, prompts)
    assert raised.value.code == "published_version_edited"


async def test_a_file_that_broke_later_does_not_hinder_its_kept_version(
    db: SqliteDatabase, prompts: Prompts, bench: Workbench
) -> None:
    bench.commit("first", {ONE: prompt_text()})
    kept = await register(db, prompts)
    bench.commit("break", {ONE: "name: ["})
    assert (await register(db, prompts)).version == kept.version


async def test_a_repository_that_is_away_does_not_hinder_kept_versions(
    db: SqliteDatabase, prompts: Prompts, bench: Workbench, tmp_path: Path
) -> None:
    bench.commit("first", {ONE: prompt_text()})
    kept = await register(db, prompts)
    bench.folder.rename(tmp_path / "moved")
    assert (await register(db, prompts)).version == kept.version
    assert await prompts.get("greeting", "1.0.0") == kept.version
    for call in (prompts.scan(), prompts.get("greeting", "2.0.0"), prompts.list()):
        with pytest.raises((Unavailable, NotFound)):
            await call


async def test_what_cannot_be_registered_says_why(db: SqliteDatabase, prompts: Prompts, bench: Workbench) -> None:
    bench.commit(
        "first",
        {
            ONE: prompt_text(),
            "prompts/broken/v1.0.0.yaml": prompt_text("broken", says="{{ nmae }}"),
            "prompts/rules/v1.0.0.yaml": fragment_text("rules"),
        },
    )
    with pytest.raises(InvalidDocument) as broken:
        await register(db, prompts, name="broken")
    assert (broken.value.code, broken.value.line) == ("param_undeclared", 10)
    with pytest.raises(NotFound) as misspelt:
        await register(db, prompts, name="greting")
    assert "Did you mean greeting?" in misspelt.value.mend
    assert misspelt.value.code == "prompt_not_found"
    with pytest.raises(NotFound) as version:
        await register(db, prompts, "1.0.1")
    assert "greeting@1.0.0" in version.value.mend
    assert version.value.code == "prompt_version_not_found"
    with pytest.raises(NotFound):
        await register(db, prompts, name="rules")
    for name, number in (("../etc", "1.0.0"), ("Greeting", "1.0.0"), ("greeting", "1.0"), ("greeting", "latest")):
        with pytest.raises(Invalid):
            await register(db, prompts, number, name)


async def test_the_list_joins_files_and_kept_versions(db: SqliteDatabase, prompts: Prompts, bench: Workbench) -> None:
    described = prompt_text(version="1.10.0").replace(
        "version: 1.10.0\n", "version: 1.10.0\ndescription: Says hello.\n"
    )
    bench.commit(
        "first",
        {
            ONE: prompt_text(),
            TWO: prompt_text(version="1.1.0"),
            "prompts/greeting/v1.10.0.yaml": described,
            "prompts/broken/v1.0.0.yaml": "name: [",
        },
    )
    await register(db, prompts)
    bench.commit("gone", {ONE: None})
    listing = await prompts.list()
    (greeting,) = listing.prompts
    assert (greeting.name, greeting.description) == ("greeting", "Says hello.")
    assert [(one.version, one.in_head, one.registered_at_ms is not None, one.model) for one in greeting.versions] == [
        ("1.10.0", True, False, "chat"),
        ("1.1.0", True, False, "chat"),
        ("1.0.0", False, True, "chat"),
    ]
    assert [(fault.file, fault.severity, fault.code) for fault in listing.faults] == [
        ("prompts/broken/v1.0.0.yaml", "error", "yaml_syntax")
    ]
    assert msgspec.json.decode(msgspec.json.encode(listing), type=type(listing)) == listing


async def test_history_diff_and_render(db: SqliteDatabase, prompts: Prompts, bench: Workbench) -> None:
    first = bench.commit("first", {ONE: prompt_text(), "prompts/other/v1.0.0.yaml": prompt_text("other")})
    second = bench.commit("second", {TWO: prompt_text(version="1.1.0", says="Hi {{ name }}!")})
    await register(db, prompts)
    history = await prompts.history("greeting")
    assert [commit.sha for commit in history.commits] == [second, first]
    assert [(one.version, one.registered_by) for one in history.registrations] == [("1.0.0", "ada")]
    with pytest.raises(NotFound, match="greting") as raised:
        await prompts.history("greting")
    assert raised.value.nearest == ("greeting",)

    diff = await prompts.diff("greeting", "1.0.0", "1.1.0")
    assert "-Hello {{ name }}.\n+Hi {{ name }}!" in diff.texts[0].unified
    with pytest.raises(NotFound):
        await prompts.diff("greeting", "1.0.0", "3.0.0")

    rendered = await prompts.render("greeting", "1.1.0", {"name": "Grace"})
    assert rendered.messages == [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi Grace!\n"}]
    with pytest.raises(InvalidVariables):
        await prompts.render("greeting", "1.1.0", {})


async def test_a_commit_is_read_once_however_many_ask(prompts: Prompts, bench: Workbench) -> None:
    bench.commit("first", {f"prompts/p{number}/v1.0.0.yaml": prompt_text(f"p{number}") for number in range(20)})
    repository = prompts._repository
    reads: list[str] = []
    files = repository.files

    def counted(sha: str) -> object:
        reads.append(sha)
        return files(sha)

    repository.files = counted  # type: ignore[method-assign, assignment]
    await asyncio.gather(*(prompts.get(f"p{number}", "1.0.0") for number in range(20)), prompts.scan(), prompts.list())
    assert len(reads) == 1

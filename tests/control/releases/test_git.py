"""What releases do to a real Git repository: tags and reverts, pushed to a real remote through the outbox."""

from collections.abc import AsyncIterator
from pathlib import Path

import pygit2
import pytest

from tests.support.control import CONFIG, commit, make_workspace, prompt_text, running_control, settings_for
from tests.support.waiting import until
from tidegate.app.control import Control
from tidegate.control.identity.model import SYSTEM, Actor
from tidegate.kernel.errors import Conflict

DEPLOYER = Actor("user_d", "dora", ("deployer",))
WITH_REMOTE = CONFIG + "prompts: {repository: ., branch: main, remote: origin}\n"
LIVE = "prompts/greeting/v1.1.0.yaml"


@pytest.fixture
def remote(tmp_path: Path) -> pygit2.Repository:
    return pygit2.init_repository(str(tmp_path / "remote.git"), bare=True, initial_head="main")


@pytest.fixture
def workspace(tmp_path: Path, remote: pygit2.Repository) -> Path:
    folder = make_workspace(tmp_path / "home", config=WITH_REMOTE)
    pygit2.Repository(str(folder)).remotes.create("origin", str(tmp_path / "remote.git"))
    return folder


@pytest.fixture
async def control(workspace: Path) -> AsyncIterator[Control]:
    async with running_control(settings_for(workspace)) as running:
        yield running


async def deploy(control: Control, *versions: str) -> None:
    for version in versions:
        await control.releases.deploy(DEPLOYER, "greeting", version, "production")


async def waiting(control: Control) -> list[str]:
    """The kinds of errands that are not done yet."""
    return [errand.kind for errand in await control.outbox.waiting()]


def has(repository: pygit2.Repository, ref: str) -> bool:
    return ref in repository.references


async def test_every_release_is_an_annotated_tag_here_and_at_the_remote(
    control: Control, workspace: Path, remote: pygit2.Repository
) -> None:
    head = str(pygit2.Repository(str(workspace)).head.target)
    await deploy(control, "1.0.0", "1.1.0")
    await control.releases.rollback(DEPLOYER, "greeting", "production", reason="worse")
    await until(lambda: has(remote, "refs/tags/release/production/greeting/3"))
    here = pygit2.Repository(str(workspace))
    for number, kind, version in ((1, "deploy", "1.0.0"), (2, "deploy", "1.1.0"), (3, "rollback", "1.0.0")):
        name = f"refs/tags/release/production/greeting/{number}"
        tag = here.references[name].peel(pygit2.Tag)
        assert str(tag.target) == head
        assert tag.message.startswith(f"{kind} greeting to {version} in production\n")
        assert f"\nversion: {version}\n" in tag.message
        assert tag.tagger.name == "dora"
        assert remote.references[name].target == here.references[name].target
    assert "\nreason: worse" in here.references["refs/tags/release/production/greeting/3"].peel(pygit2.Tag).message


async def test_a_revert_undoes_the_commit_and_deploys_the_version_before(
    control: Control, workspace: Path, remote: pygit2.Repository
) -> None:
    commit(workspace, {"prompts/other/v1.0.0.yaml": prompt_text("other", "1.0.0")})
    await deploy(control, "1.0.0", "1.1.0")
    done = await control.releases.revert(DEPLOYER, "greeting", "production", reason="rude")
    assert (done.kind, done.version, done.previous_version) == ("revert", "1.0.0", None)
    here = pygit2.Repository(str(workspace))
    head = here.head.peel(pygit2.Commit)
    assert str(head.id) == done.commit_sha
    assert head.author.name == "dora"
    assert "Reason: rude" in head.message
    assert "prompts/greeting/v1.0.0.yaml" in head.tree
    assert LIVE not in head.tree
    assert not (workspace / LIVE).exists()
    kept = ("greeting/v1.0.0", "greeting/v1.2.0", "farewell/v1.1.0", "other/v1.0.0")
    assert all((workspace / "prompts" / f"{name}.yaml").is_file() for name in kept)
    assert here.status() == {}
    await until(lambda: has(remote, "refs/heads/main") and has(remote, f"refs/tags/{done.tag}"))
    assert str(remote.references["refs/heads/main"].target) == done.commit_sha


async def test_a_version_that_was_mended_before_its_release_is_reverted_whole(
    control: Control, workspace: Path
) -> None:
    commit(workspace, {LIVE: prompt_text("greeting", "1.1.0", words="Hallo")}, "Mend it")
    await deploy(control, "1.0.0", "1.1.0")
    await control.releases.revert(DEPLOYER, "greeting", "production")
    assert not (workspace / LIVE).exists()


async def test_a_file_with_changes_of_its_own_is_not_overwritten(control: Control, workspace: Path) -> None:
    await deploy(control, "1.0.0", "1.1.0")
    (workspace / LIVE).write_text("# half-done\n")
    head = pygit2.Repository(str(workspace)).head.target
    with pytest.raises(Conflict) as caught:
        await control.releases.revert(DEPLOYER, "greeting", "production")
    assert caught.value.mend
    assert pygit2.Repository(str(workspace)).head.target == head
    assert (workspace / LIVE).read_text() == "# half-done\n"
    assert [one.version for one in await control.releases.status()] == ["1.1.0"]


async def test_a_revert_that_was_cut_short_is_finished_by_asking_again(
    control: Control, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await deploy(control, "1.0.0", "1.1.0")

    async def cut(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(control.releases, "_step", cut)
        with pytest.raises(KeyboardInterrupt):
            await control.releases.revert(DEPLOYER, "greeting", "production")
    reverted = str(pygit2.Repository(str(workspace)).head.target)
    done = await control.releases.revert(DEPLOYER, "greeting", "production")
    assert (done.version, done.commit_sha) == ("1.0.0", reverted)
    assert str(pygit2.Repository(str(workspace)).head.target) == reverted


async def test_the_first_version_is_not_reverted_and_git_is_left_alone(control: Control, workspace: Path) -> None:
    await deploy(control, "1.0.0")
    head = pygit2.Repository(str(workspace)).head.target
    with pytest.raises(Conflict, match="none to go back to"):
        await control.releases.revert(DEPLOYER, "greeting", "production")
    assert pygit2.Repository(str(workspace)).head.target == head


async def test_a_remote_that_is_away_delays_no_release_and_gets_everything_later(
    control: Control, workspace: Path, tmp_path: Path
) -> None:
    (tmp_path / "remote.git").rename(tmp_path / "away.git")
    await deploy(control, "1.0.0", "1.1.0")
    here = pygit2.Repository(str(workspace))
    await until(lambda: has(here, "refs/tags/release/production/greeting/2"))

    async def only_pushes() -> bool:
        return await waiting(control) == ["git.push", "git.push"]

    await until(only_pushes)
    (tmp_path / "away.git").rename(tmp_path / "remote.git")
    remote = pygit2.Repository(str(tmp_path / "remote.git"))
    await until(lambda: has(remote, "refs/tags/release/production/greeting/2"))
    assert has(remote, "refs/tags/release/production/greeting/1")


async def test_nothing_is_pushed_where_the_configuration_says_so(workspace: Path, remote: pygit2.Repository) -> None:
    async with running_control(settings_for(workspace)) as control:
        await control.apply(SYSTEM, WITH_REMOTE.replace("remote: origin}", "remote: origin, push: false}"), "t.yaml")
        await deploy(control, "1.0.0")
        here = pygit2.Repository(str(workspace))
        await until(lambda: has(here, "refs/tags/release/production/greeting/1"))

        async def all_done() -> bool:
            return await waiting(control) == []

        await until(all_done)
    assert list(remote.references) == []

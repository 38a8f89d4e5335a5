"""tidegate.yaml from the command line's side: what differs, and who it was that applied it."""

import getpass
from pathlib import Path

import pytest

from tests.control.policies.configs import MINIMAL
from tidegate.app.databases import open_database
from tidegate.app.policies_local import apply_locally, checked_file, difference, held_text
from tidegate.control.identity.store import audit_rows
from tidegate.kernel.errors import Invalid, NotFound
from tidegate.settings import Settings


class TestDifference:
    def test_of_the_same_text_is_none(self) -> None:
        assert difference(MINIMAL, MINIMAL) == ()

    def test_to_nothing_is_everything(self) -> None:
        assert "+ routes.chat.model: small" in difference(None, MINIMAL)

    def test_to_a_text_that_is_no_longer_good_tells_everything_and_why(self) -> None:
        told = difference("models: old style", MINIMAL)
        assert "another version" in told[0]
        assert "+ routes.chat.model: small" in told

    def test_of_a_faulty_text_is_refused(self) -> None:
        with pytest.raises(Invalid, match="faulty"):
            difference(None, "models: [")


class TestCheckedFile:
    def test_tells_faults_of_both_halves_at_once(self, tmp_path: Path) -> None:
        (tmp_path / "tidegate.yaml").write_text(MINIMAL.replace("openai", "opnai") + "server: {gateways: 0}\n")
        with pytest.raises(Invalid, match="2 faults") as caught:
            checked_file(tmp_path)
        assert "opnai" in caught.value.message
        assert "server.gateways" in caught.value.message

    def test_that_is_not_there_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(NotFound, match=r"tidegate\.yaml"):
            checked_file(tmp_path)


async def test_applying_without_control_is_audited_under_this_machines_user(tmp_path: Path) -> None:
    settings = Settings(workspace=tmp_path)
    assert await held_text(settings) is None
    applied = await apply_locally(settings, MINIMAL)
    assert (applied.revision, applied.generation) == (1, 1)
    assert await held_text(settings) == MINIMAL
    database = open_database(settings)
    async with database.read() as tx:
        (row,) = await audit_rows(tx, limit=5)
    await database.close()
    assert (row.actor, row.action) == (f"local:{getpass.getuser()}", "config.apply")

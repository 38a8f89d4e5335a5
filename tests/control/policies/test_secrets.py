"""Providers' secrets: a value goes in, sealed, and comes out nowhere but where it is opened."""

# ruff: noqa: ASYNC240  # tests touch files

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.control.policies.configs import with_model
from tests.support.databases import fresh_sqlite
from tidegate.adapters.sqlite.database import SqliteDatabase
from tidegate.adapters.vault.vault import Vault
from tidegate.app.snapshots import Press
from tidegate.control.identity.model import Actor
from tidegate.control.identity.store import audit_rows
from tidegate.control.policies.secrets import Secrets
from tidegate.control.policies.service import Policies
from tidegate.kernel.errors import TidegateError

ADA = Actor("user_1", "ada", ("admin",))
BO = Actor("user_2", "bo", ("deployer",))
OLD = "0123456789abcdef0123456789abcdef"
NEW = "fedcba9876543210fedcba9876543210"
VALUE = "sk-very-secret-0815-4711"


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    database = await fresh_sqlite(tmp_path)
    yield database
    await database.close()


def secrets_of(db: SqliteDatabase, vault: Vault) -> Secrets:
    return Secrets(db, Press(db).publish, lambda: vault)


async def code_of(attempt: object) -> str:
    with pytest.raises(TidegateError) as caught:
        await attempt  # type: ignore[misc]
    assert VALUE not in str(caught.value)
    return caught.value.code


async def test_a_secret_is_listed_audited_and_published_without_its_value(db: SqliteDatabase, tmp_path: Path) -> None:
    vault = Vault(OLD)
    secrets = secrets_of(db, vault)
    info = await secrets.set(ADA, "openai", f"{VALUE}\n")
    assert (info.name, info.key_id, info.set_by) == ("openai", vault.key_id, "ada")
    assert await secrets.list(ADA) == (info,)
    async with db.read() as tx:
        sealed = (await Press(db).compose(tx)).sealed["openai"]
        (row,) = await audit_rows(tx, limit=1)
    assert (row.action, row.subject) == ("secret.set", "secrets/openai")
    assert vault.open("secrets", "openai", sealed) == VALUE.encode()
    await db.close()
    assert VALUE.encode() not in b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


async def test_rotating_seals_anew_under_the_current_master_key(db: SqliteDatabase) -> None:
    await secrets_of(db, Vault(OLD)).set(ADA, "openai", VALUE)
    assert await code_of(secrets_of(db, Vault(NEW)).rotate(ADA)) == "sealed_key_unknown"
    both = Vault(NEW, (OLD,))
    (info,) = await secrets_of(db, both).rotate(ADA)
    assert (info.key_id, info.set_by) == (both.key_id, "ada")
    async with db.read() as tx:
        sealed = (await Press(db).compose(tx)).sealed["openai"]
    assert Vault(NEW).open("secrets", "openai", sealed) == VALUE.encode()


async def test_a_secret_in_use_is_not_removed(db: SqliteDatabase) -> None:
    secrets = secrets_of(db, Vault(OLD))
    await secrets.set(ADA, "openai", VALUE)
    await Policies(db, Press(db).publish, NoPrices()).apply(ADA, with_model("secret: openai"))
    assert await code_of(secrets.remove(ADA, "openai")) == "secret_in_use"
    await secrets.set(ADA, "spare", VALUE)
    await secrets.remove(ADA, "spare")
    assert [one.name for one in await secrets.list(ADA)] == ["openai"]
    assert await code_of(secrets.remove(ADA, "spare")) == "secret_not_found"


@pytest.mark.parametrize("value", ["", "  \n", "a\r\nb: c", "kö", "x" * 20_000])
async def test_a_value_that_cannot_be_a_key_is_refused(db: SqliteDatabase, value: str) -> None:
    assert await code_of(secrets_of(db, Vault(OLD)).set(ADA, "openai", value)) == "invalid_secret"


async def test_only_an_admin_comes_near(db: SqliteDatabase) -> None:
    secrets = secrets_of(db, Vault(OLD))
    for attempt in (secrets.set(BO, "a", VALUE), secrets.list(BO), secrets.remove(BO, "a"), secrets.rotate(BO)):
        assert await code_of(attempt) == "permission_denied"


class NoPrices:
    """A catalogue that knows nothing."""

    def price(self, provider_or_base_url: str, model: str) -> None:
        return None

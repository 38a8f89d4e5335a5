"""The verbs of providers' secrets: set, list, remove, seal anew. A value goes in and never comes out again."""

from collections.abc import Callable

from tidegate.control.identity.model import Actor
from tidegate.control.identity.store import add_audit
from tidegate.control.policies import store
from tidegate.control.policies.model import SECRETS, SecretInfo
from tidegate.control.policies.ports import Vault
from tidegate.jobs.database import Database, Publish, Tx
from tidegate.kernel.errors import Conflict, Invalid, NotFound
from tidegate.kernel.names import check_name

__all__ = ["Secrets"]

RIGHT = "secret.manage"
MAX_VALUE = 16_384


class Secrets:
    """Each verb is one transaction: the change, its audit row, the new Snapshot, which carries the sealed rows."""

    def __init__(self, db: Database, publish: Publish, vault: Callable[[], Vault]) -> None:
        """`vault` opens it; a workspace without secrets needs none."""
        self._db = db
        self._publish = publish
        self._vault = vault

    async def list(self, actor: Actor) -> tuple[SecretInfo, ...]:
        """Every secret by name, without its value."""
        actor.require(RIGHT)
        async with self._db.read() as tx:
            return tuple(stored.info for stored in await store.secrets(tx))

    async def set(self, actor: Actor, name: str, value: str) -> SecretInfo:
        """Seal a value under this name, over what was there. Raises Invalid for a name or a value that cannot be."""
        actor.require(RIGHT)
        check_name("secret", name)
        value = value.strip()
        if not value or len(value) > MAX_VALUE or not value.isascii() or not value.isprintable():
            raise Invalid(
                f"The value of {name!r} is empty, has more than {MAX_VALUE} characters, or not ASCII ones.",
                mend="Give the key as the provider shows it, on one line.",
                code="invalid_secret",
            )
        sealed = self._vault().seal(SECRETS, name, value.encode())
        async with self._db.write() as tx:
            stored = store.StoredSecret(sealed, await self._db.now_ms(tx), actor.name)
            await store.put_secret(tx, stored)
            await self._tell(tx, actor, "secret.set", name, {"key_id": sealed.key_id})
        return stored.info

    async def remove(self, actor: Actor, name: str) -> SecretInfo:
        """Forget a secret; raises NotFound, or Conflict while a model refers to it."""
        actor.require(RIGHT)
        async with self._db.write() as tx:
            found = {stored.info.name: stored.info for stored in await store.secrets(tx)}
            if name not in found:
                raise NotFound("secret", name, known=tuple(found))
            config = await store.current(tx)
            users = [one.name for one in config.deployments.values() if one.secret == name] if config else []
            if users:
                raise Conflict(
                    f"The secret {name!r} is used by the models {', '.join(users)}.",
                    mend="Take it out of tidegate.yaml, then `tidegate apply`.",
                    code="secret_in_use",
                )
            await store.remove_secret(tx, name)
            await self._tell(tx, actor, "secret.remove", name, {})
        return found[name]

    async def rotate(self, actor: Actor) -> tuple[SecretInfo, ...]:
        """Seal every secret anew under the current master key, all or none; raises Invalid naming one that cannot be
        opened. Who set it and when stays.
        """
        actor.require(RIGHT)
        vault = self._vault()
        async with self._db.write() as tx:
            done = []
            for stored in await store.secrets(tx):
                name = stored.sealed.name
                again = store.StoredSecret(vault.reseal(SECRETS, name, stored.sealed), stored.set_at_ms, stored.set_by)
                await store.put_secret(tx, again)
                done.append(again.info)
            await self._tell(tx, actor, "secret.rotate", "all", {"key_id": vault.key_id, "count": len(done)})
        return tuple(done)

    async def _tell(self, tx: Tx, actor: Actor, action: str, name: str, diff: dict[str, object]) -> None:
        at_ms = await self._db.now_ms(tx)
        await add_audit(tx, at_ms=at_ms, actor=actor, action=action, subject=f"secrets/{name}", diff=diff)
        await self._publish(tx)

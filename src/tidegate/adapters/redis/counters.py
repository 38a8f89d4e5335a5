"""Counters on Redis: one script for each exchange. Redis keeps them in memory, so it can lose them: then no key
`epoch`, which holds the birth mark, is there, and everything that needs a new slice is refused until the counters were
rebuilt from the call log.

Its replication is asynchronous: a failover can forget the last exchanges. Where a cap must hold through one, count in
PostgreSQL. `maxmemory-policy` must be noeviction, or Redis would drop counters to make room.
"""

import logging
from collections.abc import Awaitable, Sequence
from typing import Any, cast

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from tidegate.adapters.redis.script import EXCHANGE, REBUILD
from tidegate.kernel.errors import Unavailable
from tidegate.kernel.ids import new_id
from tidegate.live.births import REBUILT, Birth, counters_lost
from tidegate.live.counting import Counted
from tidegate.live.ports import Line, Standing

__all__ = ["RedisCounters"]

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0
TAG = "{tidegate}"
EPOCH, GATEWAYS, EXPIRING, ALL = (f"{TAG}:{name}" for name in ("epoch", "gateways", "expiring", "windows"))

_ANSWER = msgspec.json.Decoder(list[tuple[str, str, str, str, bool]])


class RedisCounters:
    """Fills `live.ports.Counters`, and control's `Spending`."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(
            url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, decode_responses=True
        )
        self._exchange = self._redis.register_script(EXCHANGE)
        self._rebuild = self._redis.register_script(REBUILD)
        self._known = ""
        self._checked = False

    async def exchange(self, gateway_id: str, seq: int, lines: Sequence[Line]) -> Sequence[Standing]:
        """See `live.ports.Counters`."""
        keys = [EPOCH, GATEWAYS, EXPIRING, *(_key(line.counter, line.window) for line in lines), ALL]
        said = msgspec.json.encode([_said(line) for line in lines]).decode()
        try:
            await self._check()
            born, answer = await self._exchange(keys=keys, args=[gateway_id, seq, said, self._known])
        except ResponseError as error:
            if "LOST" in str(error):
                self._known = ""  # nothing is held of it any more: what control opens next is as good as new
                raise counters_lost("Redis") from error
            raise _away(error) from error
        except (RedisError, OSError) as error:
            raise _away(error) from error
        self._known = born
        if not answer:
            raise counters_lost("The Redis that was known is another one now: it")
        return tuple(
            Standing(
                counter=line.counter,
                window=line.window,
                granted=int(granted),
                settled=int(settled),
                held=int(held),
                cap=int(cap),
                others_hold=others,
            )
            for line, (granted, settled, held, cap, others) in zip(lines, _ANSWER.decode(answer), strict=True)
        )

    async def begin(self) -> None:
        """Open a Redis that never counted for Tidegate; control calls it when it has no earlier windows to rebuild."""
        await self._told(self._redis.set(EPOCH, new_id("store"), nx=True))

    async def standings(self) -> Sequence[Counted]:
        """See `control.spend.ports.Spending`."""
        names = await self._told(self._redis.zrange(ALL, 0, -1))
        now_s, _ = await self._told(self._redis.time())
        found = []
        for name in names:
            row = await self._told(cast(Awaitable[dict[str, str]], self._redis.hgetall(name)))
            if row:
                found.append(_counted(row, now_s * 1000))
        return tuple(found)

    async def rebuild(self, counted: Sequence[Counted]) -> None:
        """See `control.spend.ports.Spending`."""
        for one in counted:
            keys = [_key(one.counter, one.window), ALL]
            name = _name(one.counter, one.window)
            await self._told(self._rebuild(keys=keys, args=[one.settled, one.ends_at_ms, name, one.cap]))
        await self.begin()

    async def birth(self) -> Birth | None:
        """See `control.spend.ports.Spending`; a Redis that is open was opened by control."""
        mark = await self._told(self._redis.get(EPOCH))
        return None if mark is None else Birth(mark, REBUILT)

    async def lose(self) -> None:
        """See `control.spend.ports.Spending`."""
        await self._told(self._redis.delete(EPOCH))

    async def close(self) -> None:
        """See `live.ports.Counters`."""
        await self._redis.aclose()

    async def _check(self) -> None:
        """Once for each process: a Redis that throws counters away to make room cannot hold a cap."""
        if self._checked:
            return
        try:
            policy = await self._redis.config_get("maxmemory-policy")
        except ResponseError as error:  # hosted ones bar it: the operator must know what docs/reference/limits.md asks
            log.warning("Redis does not tell its maxmemory-policy, which must be noeviction: %s", error)
            policy = {}
        if policy.get("maxmemory-policy", "noeviction") != "noeviction":
            raise Unavailable(
                f"Redis has maxmemory-policy {policy['maxmemory-policy']}: it may throw counters away.",
                mend="Set maxmemory-policy to noeviction.",
                code="budget_store_unavailable",
            )
        self._checked = True

    async def _told(self, asked: Awaitable[Any]) -> Any:
        try:
            return await asked
        except (RedisError, OSError) as error:
            raise _away(error) from error


def _key(counter: str, window: str) -> str:
    return f"{TAG}:window:{_name(counter, window)}"


def _name(counter: str, window: str) -> str:
    return f"{counter}\x1f{window}"


def _said(line: Line) -> dict[str, object]:
    return {
        "name": _name(line.counter, line.window),
        "ends_at_ms": line.ends_at_ms,
        "cap": line.cap,
        "generation": line.generation,
        "settled": line.settled,
        "returned": line.returned,
        "wanted": line.wanted,
        "least": line.least,
        "expires_ms": round(line.expires_s * 1000),
    }


def _counted(row: dict[str, str], now_ms: int) -> Counted:
    counter, _, window = row["name"].partition("\x1f")
    held = 0
    for name, value in row.items():
        if name.startswith("held:") and int(row.get(f"lives:{name[5:]}", now_ms + 1)) > now_ms:
            held += int(value)
    return Counted(
        counter=counter,
        window=window,
        cap=int(row.get("cap", 0)),
        settled=int(row.get("settled", 0)),
        held=held,
        ends_at_ms=int(row["ends_at_ms"]),
    )


def _away(error: Exception) -> Unavailable:
    return Unavailable(
        f"Limits and budgets cannot be counted in Redis: {error}.",
        mend="Check the server and redis_url.",
        code="budget_store_unavailable",
    )

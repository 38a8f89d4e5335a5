"""The gateway, wired: a Board that it follows, a pipeline that it runs, a journal that it keeps. Doors hand it
Requests.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import msgspec

from tidegate.adapters.metrics.files import exposition, hold_alive, read_states, retire_dead, write_state
from tidegate.app.secrets import Opener
from tidegate.app.stores import Stores
from tidegate.app.targets import Targets
from tidegate.gateway import anthropic_errors
from tidegate.gateway.call import JSON_HEADER, Call, Reply, Request
from tidegate.gateway.contents import ContentLog
from tidegate.gateway.dialects.base import Dialect
from tidegate.gateway.dialects.messages.dialect import CountTokensDialect, MessagesDialect
from tidegate.gateway.dialects.responses.dialect import ResponsesDialect
from tidegate.gateway.endpoints import find_endpoint
from tidegate.gateway.events import Events
from tidegate.gateway.feedback import FeedbackLog
from tidegate.gateway.journal import Journal
from tidegate.gateway.ledger.ledger import Ledger
from tidegate.gateway.meters import Meters
from tidegate.gateway.openai_errors import error_reply
from tidegate.gateway.origins import Answer, for_origins
from tidegate.gateway.passthrough import Place
from tidegate.gateway.pipeline import fold
from tidegate.gateway.ports import GatewayState
from tidegate.gateway.providers.anthropic.provider import AnthropicProvider
from tidegate.gateway.providers.azure.provider import AzureProvider, passed_path
from tidegate.gateway.providers.base import Provider
from tidegate.gateway.providers.bedrock.provider import BedrockProvider
from tidegate.gateway.providers.gemini.provider import GeminiProvider
from tidegate.gateway.providers.openai.provider import OpenAIProvider
from tidegate.gateway.providers.vertex.provider import VertexProvider
from tidegate.gateway.routing.probes import Probes
from tidegate.gateway.shadows import Shadows, own_rules
from tidegate.gateway.stages.admit import Admit
from tidegate.gateway.stages.feedback import TakeFeedback
from tidegate.gateway.stages.identify import Identify
from tidegate.gateway.stages.keep import Keep
from tidegate.gateway.stages.listing import Listing
from tidegate.gateway.stages.passthrough import Choose, PassOn
from tidegate.gateway.stages.record import Record
from tidegate.gateway.stages.resolve import Resolve
from tidegate.gateway.stages.send import Send
from tidegate.gateway.stages.shadow import Shadow
from tidegate.gateway.upstream.pool import Pool
from tidegate.gateway.world import World
from tidegate.kernel.errors import TidegateError, Unavailable
from tidegate.kernel.ids import IdSource, new_id
from tidegate.live.snapshot import Policy, Snapshot, decode_snapshot, encode_snapshot
from tidegate.settings import Settings

__all__ = ["Events", "Gateway", "Reply", "Request"]

log = logging.getLogger(__name__)

METRICS_S = 1.0
FOLLOW_AGAIN_S = 1.0
TEXT = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")


class Gateway:
    """One gateway process's inside. Life: `start`, many `handle`, `drain` (no new work), `stop`."""

    def __init__(self, settings: Settings, stores: Stores, environ: Mapping[str, str]) -> None:
        self.gateway_id = new_id("gw")
        self._ids = IdSource("call")
        self._settings = settings
        self._board = stores.board
        self._world: World | None = None
        self._draining = False
        self._alive: IO[bytes] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._providers: dict[str, Provider] = {
            "openai": OpenAIProvider(),
            "anthropic": AnthropicProvider(),
            "azure": AzureProvider(),
            "bedrock": BedrockProvider(),
            "gemini": GeminiProvider(),
            "vertex": VertexProvider(),
        }
        self._dialects: dict[str, Dialect] = {
            "messages": MessagesDialect(),
            "messages.count_tokens": CountTokensDialect(),
            "responses": ResponsesDialect(),
        }
        self.handle: Answer = self._answer
        """Answer one request. Only bugs raise; every refusal is a Reply."""
        self.meters = Meters()
        self.journal = Journal(stores.records, self.gateway_id, lambda: self.policy.record_flush_ms)
        self.ledger = Ledger(stores.counters, self.gateway_id)
        self.contents = ContentLog(stores.contents)
        self.feedback = FeedbackLog(stores.feedbacks)
        keep = Keep(self.contents)
        self._pool = Pool(asyncio.get_running_loop())
        self._targets = Targets(self._providers, Opener(settings, environ), self._pool)
        self._send = Send(self._providers, self._dialects, self._pool)
        self.probes = Probes(self._pool, self._send.board)
        copied = Send(self._providers, self._dialects, self._pool)  # what copies find ill is not ill for users
        self.shadows = Shadows(self.journal, Admit(self.ledger), keep, copied, self._ids)
        first = (Record(self.journal, self.meters), Identify())
        places: Mapping[str, Place] = {"openai": lambda _, path: path, "azure": passed_path}
        pass_on = PassOn(places, self._pool, self._send.board)
        self._handlers = {
            "inference": fold((*first, Resolve(), Admit(self.ledger), Shadow(self.shadows), keep, self._send)),
            "passthrough": fold((*first, Choose(places), Admit(self.ledger), pass_on)),
            "feedback": fold((*first, TakeFeedback(self.feedback))),
            "listing": fold((*first, Listing())),
        }
        self._operations = {"/healthz": self._health, "/readyz": self._ready, "/metrics": self._metrics}

    @property
    def policy(self) -> Policy:
        """The limits in force."""
        return self._world.snapshot.policy if self._world else Policy()

    async def start(self) -> None:
        """Read what is live (from the store, else the last one seen on this host) and begin to follow it."""
        self._settings.run_dir.mkdir(parents=True, exist_ok=True)
        retire_dead(self._settings.run_dir)
        self._alive = hold_alive(self._settings.run_dir, self.gateway_id)
        try:
            snapshot = await self._board.latest()
        except TidegateError as error:
            snapshot = _last_seen(self._settings.snapshot_file)
            if snapshot is None:
                log.info("waiting for control's first Snapshot")  # a new workspace: /readyz says why, if it lasts
            else:
                log.warning("the control database is away, generation %d is served: %s", snapshot.generation, error)
        if snapshot is not None:
            self.adopt(snapshot)
        self.journal.start()
        self.ledger.start()
        self.contents.start()
        self._tasks = [
            asyncio.create_task(self._follow(), name="board"),
            asyncio.create_task(self._publish_metrics(), name="metrics"),
        ]

    def adopt(self, snapshot: Snapshot) -> None:
        """Serve this Snapshot from now on; calls under way keep theirs. A lower generation never wins."""
        if self._world is not None and snapshot.generation <= self._world.generation:
            return
        self.ledger.adopt((*snapshot.limits, *own_rules(snapshot)), snapshot.generation)
        self.handle = for_origins(snapshot.policy.cors_origins, self._answer)
        before, self._world = self._world, World(snapshot, self._targets.of(snapshot, self._world), self._world)
        self._targets.settle(before, snapshot)
        self.probes.adopt(self._world)
        if before is not None:
            before.supersede(self._world)

    async def _answer(self, request: Request) -> Reply:
        operation = self._operations.get(request.path)
        if operation is not None and request.method in ("GET", "HEAD"):
            return operation()
        try:
            endpoint = find_endpoint(request.method, request.path)
            if self._world is None:
                raise Unavailable(
                    "Nothing was ever applied here.", mend="Run `tidegate apply`, or `tidegate up`.", code="no_snapshot"
                )
        except TidegateError as error:
            call_id = new_id("call")
            theirs = request.path.startswith("/v1/messages")
            reply = anthropic_errors.error_reply(error, call_id) if theirs else error_reply(error)
            reply.headers.append((b"x-request-id", call_id.encode()))
            return reply
        return await self._handlers[endpoint.kind](Call(request, endpoint, self._world, self._ids))

    def drain(self) -> None:
        """Be ready no more, and answer those who wait for news. Calls that arrive on open connections are served."""
        self._draining = True
        if self._world is not None:
            self._world.supersede(None)

    def break_off(self) -> None:
        """End every call that waits for an upstream with an error; their clients are told."""
        self._pool.break_off()

    async def stop(self) -> None:
        """Flush the records and close everything. Call when no call is under way any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.shadows.stop()
        await self.probes.stop()
        await self._pool.close()
        await self.journal.close()
        await self.contents.close()
        await self.feedback.close()
        await self.ledger.stop()
        await self._board.close()
        self._write_metrics()
        if self._alive is not None:
            self._alive.close()

    async def _follow(self) -> None:
        """Adopt what is new, for ever: a fault of the board's must not leave the gateway behind."""
        if self._world is not None:
            await self._keep(self._world.snapshot)
        while True:
            try:
                async for snapshot in self._board.changes(self._world.generation if self._world else 0):
                    self.adopt(snapshot)
                    await self._keep(snapshot)
            except Exception:
                log.exception("the newest generation cannot be served; the last good one stays")
            await asyncio.sleep(FOLLOW_AGAIN_S)

    async def _keep(self, snapshot: Snapshot) -> None:
        try:
            await asyncio.to_thread(_remember, self._settings.snapshot_file, snapshot)
        except OSError as error:
            log.warning("generation %d cannot be kept for a start without the database: %s", snapshot.generation, error)

    def _health(self) -> Reply:
        return Reply(200, [JSON_HEADER], b'{"status":"alive"}')

    def _ready(self) -> Reply:
        ready = self._world is not None and not self._draining
        body = {
            "status": "ready" if ready else "draining" if self._draining else "no snapshot",
            "gateway_id": self.gateway_id,
            "generation": self._world.generation if self._world else None,
            "control_database": self._board.fault or "ok",
            "records": self.journal.store_error or "ok",
            "records_waiting": self.journal.waiting,
            "feedback": self.feedback.fault or "ok",
            "limits": self.ledger.fault or "ok",
            "in_flight": self.meters.in_flight,
        }
        return Reply(200 if ready else 503, [JSON_HEADER], msgspec.json.encode(body))

    def _metrics(self) -> Reply:
        self._write_metrics()
        return Reply(200, [TEXT], exposition(read_states(self._settings.run_dir)))

    async def _publish_metrics(self) -> None:
        while True:
            await asyncio.sleep(METRICS_S)
            if self.meters.changed or self.probes.changed:
                self.meters.changed = self.probes.changed = False
                self._write_metrics()

    def _write_metrics(self) -> None:
        state = GatewayState(
            gateway_id=self.gateway_id,
            pid=os.getpid(),
            generation=self._world.generation if self._world else 0,
            in_flight=self.meters.in_flight,
            records_waiting=self.journal.waiting,
            records_dropped=self.journal.dropped,
            totals=self.meters.totals(),
            breakers=self._send.board.states(),
            upstreams=self._send.board.totals(),
            upstreams_in_flight=self._send.board.in_flight(),
            shadows=self.shadows.totals,
            limits=self.ledger.events,
            rerouted=self._send.rerouted,
            probes=self.probes.totals,
            contents_dropped=self.contents.dropped,
        )
        with contextlib.suppress(OSError):  # a full disk must not stop the serving; doctor finds it
            write_state(self._settings.run_dir, state)


def _remember(file: Path, snapshot: Snapshot) -> None:
    """Keep the last Snapshot for a start without the database. Owner-only: it holds key hashes and prompts."""
    blob, digest = encode_snapshot(snapshot)
    draft = file.with_suffix(f".{socket.gethostname()}-{os.getpid()}.draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(digest.encode() + b"\n" + blob)
    draft.replace(file)


def _last_seen(file: Path) -> Snapshot | None:
    try:
        digest, _, blob = file.read_bytes().partition(b"\n")
        return decode_snapshot(blob, digest.decode())
    except (OSError, TidegateError, UnicodeDecodeError):
        return None

"""The pool: finds or opens a connection for an exchange, watches its deadline, takes it back when it is clean."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from tidegate.gateway.upstream.connection import Connection
from tidegate.gateway.upstream.resolver import Resolver, not_allowed
from tidegate.gateway.upstream.target import Target
from tidegate.kernel.errors import ProviderFailed, ProviderTimeout, ProviderUnreachable

__all__ = ["Exchange", "Pool"]

SWEEP_S = 0.1
IDLE_KEEP_S = 60.0
SHARES = 3
"""A silent address may take a third of what is left of the connect timeout when others wait behind it."""


class Exchange:
    """One request and its response. `status` and `headers` are there after `Pool.send`; then read `whole`, or
    `piece` by piece, or `pour`; then `release`.
    """

    __slots__ = ("_pool", "connection", "deadline_s", "first_limit_s", "first_s", "streaming", "target", "total_s")

    def __init__(
        self, pool: "Pool", target: Target, connection: Connection, streaming: bool, within_s: float | None
    ) -> None:
        self._pool = pool
        self.target = target
        self.connection = connection
        self.streaming = streaming
        now = pool.loop.time()
        self.total_s = target.total_timeout_s
        self.first_s = target.first_token_timeout_s
        if within_s is not None:
            if streaming:
                self.first_s = min(self.first_s, within_s)
            else:
                self.total_s = min(self.total_s, within_s)
        self.deadline_s = now + self.total_s
        self.first_limit_s = now + self.first_s

    @property
    def status(self) -> int:
        return self.connection.status

    @property
    def headers(self) -> dict[bytes, bytes]:
        return self.connection.headers

    async def whole(self) -> bytes:
        """The whole body; raises ProviderFailed."""
        return await self.connection.whole()

    async def piece(self) -> bytes:
        """The next piece of the body, empty at its end; raises ProviderFailed."""
        return await self.connection.piece()

    async def pour(self, take: Callable[[bytes], bool]) -> None:
        """See `gateway.events.Source`."""
        await self.connection.pour(take)

    def go_on(self) -> None:
        """See `gateway.events.Source`."""
        self.connection.go_on()

    def release(self) -> None:
        """Give the connection back: kept when the response was read to its end, closed otherwise (which cancels the
        upstream's work).
        """
        self._pool.take_back(self)


class Pool:
    """Connections to all upstreams of one gateway process.

    Deadlines are checked by one sweeper every SWEEP_S seconds while anything is under way: a timer for each request
    would cost more than the accuracy is worth. A connection is opened to an address that the resolver has judged, under
    the target's name (Host, TLS); with `allow`, to the allowed hosts only. Nothing else, no proxy and no redirect, says
    where it goes.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, resolver: Resolver | None = None) -> None:
        self.loop = loop
        self.resolver = resolver or Resolver()
        self._allowed: frozenset[str] = frozenset()
        self._idle: dict[tuple[str, int, bool], list[Connection]] = {}
        self._busy: set[Exchange] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    async def send(
        self,
        target: Target,
        request: bytes | Sequence[bytes | memoryview],
        *,
        streaming: bool,
        within_s: float | None = None,
    ) -> Exchange:
        """Send a request; returns once the response's head is there, when not streaming the whole, and within so many
        seconds, connecting included (a stream must have begun by then). Raises ProviderFailed.

        A kept connection that turns out to be closed before any byte of the answer is replaced by a fresh one, once.
        """
        kept = self._kept(target)
        while True:
            if kept is None:
                opened_s = self.loop.time()
                connection = await self._open(target, within_s)
                within_s = None if within_s is None else within_s - (self.loop.time() - opened_s)
            else:
                connection, kept = kept, None
            exchange = Exchange(self, target, connection, streaming, within_s)
            self._busy.add(exchange)
            if self._sweeper is None:
                self._sweeper = self.loop.call_later(SWEEP_S, self._sweep)
            try:
                connection.send(request, target.name)
                await (connection.head() if streaming else connection.ended())
                return exchange
            except ProviderUnreachable:
                self.take_back(exchange)
                if not connection.untouched:
                    raise
            except BaseException:
                self.take_back(exchange)
                raise

    def allow(self, hosts: Iterable[str]) -> None:
        """From now on only these hosts are called; none: all. Kept connections to others are closed."""
        self._allowed = frozenset(hosts)
        for (host, _, _), kept in self._idle.items():
            if not self.allows(host):
                for connection in kept:
                    connection.abort()

    def allows(self, host: str) -> bool:
        """Whether the policy lets this host be called."""
        return not self._allowed or host in self._allowed

    async def reach(self, target: Target) -> None:
        """Open a connection (TCP, and TLS where it is spoken) and close it again; raises ProviderFailed."""
        (await self._open(target)).abort()

    def take_back(self, exchange: Exchange) -> None:
        """End an exchange; called once by each, however it went."""
        if exchange not in self._busy:
            return
        self._busy.discard(exchange)
        connection = exchange.connection
        clean = connection.complete and connection.reusable and not connection.closed
        if clean and self.allows(exchange.target.host):
            self._idle.setdefault(exchange.target.key, []).append(connection)
        elif not connection.closed:
            connection.abort()

    async def close(self) -> None:
        """Close every connection."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for kept in self._idle.values():
            for connection in kept:
                connection.abort()
        self._idle.clear()
        self.break_off()

    def break_off(self) -> None:
        """End every exchange with an error, and close its connection."""
        for exchange in list(self._busy):
            exchange.connection.fail(
                ProviderFailed("The gateway is shutting down.", mend="Try again.", code="shutting_down")
            )

    def _kept(self, target: Target) -> Connection | None:
        kept = self._idle.get(target.key)
        while kept:
            connection = kept.pop()
            if not connection.closed:
                return connection
        return None

    async def _open(self, target: Target, within_s: float | None = None) -> Connection:
        if not self.allows(target.host):
            raise not_allowed(target, "its host is not in policies.allowed_hosts")
        limit_s = target.connect_timeout_s if within_s is None else max(0.0, min(target.connect_timeout_s, within_s))
        until_s = self.loop.time() + limit_s
        try:
            async with asyncio.timeout_at(until_s):
                addresses = await self.resolver.addresses(target)
                return await self._first_of(target, addresses, until_s)
        except TimeoutError as error:
            self.resolver.forget(target.host)
            raise ProviderTimeout(
                f"The upstream {target.name!r} did not accept a connection within {round(limit_s, 2):g} s.",
                mend="Check base_url and the network, or raise timeouts.connect_s.",
            ) from error
        except OSError as error:
            self.resolver.forget(target.host)
            raise ProviderUnreachable(
                f"The upstream {target.name!r} cannot be reached: {error.strerror or error}.",
                mend="Start it, or check its base_url.",
            ) from error

    async def _first_of(self, target: Target, addresses: tuple[str, ...], until_s: float) -> Connection:
        """A connection to the first address that takes one; raises the last one's OSError. A silent one gets no more
        than its share of the time.
        """
        last = len(addresses) - 1
        for place, address in enumerate(addresses):
            share_s = (until_s - self.loop.time()) / min(last - place + 1, SHARES)
            try:
                async with asyncio.timeout(None if place == last else share_s):
                    connection = await self._connect(target, address)
            except OSError:  # TimeoutError is one
                if place == last:
                    raise
            else:
                self.resolver.reached(target.host, address)
                return connection
        raise AssertionError("the resolver returns at least one address")

    async def _connect(self, target: Target, address: str) -> Connection:
        """Connect to an address; the certificate is checked against the name."""
        name = target.host if target.tls is not None else None
        _, connection = await self.loop.create_connection(
            lambda: Connection(self.loop), address, target.port, ssl=target.tls, server_hostname=name
        )
        return connection

    def _sweep(self) -> None:
        now = self.loop.time()
        for exchange in list(self._busy):
            error = _overdue(exchange, now)
            if error is not None:
                exchange.connection.fail(error)
        for key, kept in list(self._idle.items()):
            fresh = []
            for connection in kept:
                if now - connection.touched > IDLE_KEEP_S:
                    connection.abort()
                elif not connection.closed:
                    fresh.append(connection)
            self._idle[key] = fresh
        alive = self._busy or any(self._idle.values())
        self._sweeper = self.loop.call_later(SWEEP_S, self._sweep) if alive else None


def _overdue(exchange: Exchange, now: float) -> ProviderTimeout | None:
    target, connection = exchange.target, exchange.connection
    if connection.waiter is None or connection.held:
        return None  # nobody waits for the upstream: the client is the slow one
    if now > exchange.deadline_s:
        return _late(target, "finish", exchange.total_s, "total_s")
    if not exchange.streaming:
        return None
    if not connection.answered and now > exchange.first_limit_s:
        return _late(target, "begin to answer", exchange.first_s, "first_token_s")
    if connection.answered and now - connection.touched > target.idle_timeout_s:
        return _late(target, "go on with its answer", target.idle_timeout_s, "idle_s")
    return None


def _late(target: Target, what: str, limit_s: float, setting: str) -> ProviderTimeout:
    return ProviderTimeout(
        f"The upstream {target.name!r} did not {what} within {round(limit_s, 2):g} s.",
        mend=f"Check its load, or raise timeouts.{setting}.",
    )

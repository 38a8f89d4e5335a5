"""Where an upstream's name leads: resolved here, each address judged, kept for a while, and connected to by address, so
that what was judged is what is called.

Against server-side request forgery and DNS rebinding: an upstream that was public and turns to this machine or a
private network is refused. OWASP, Server-Side Request Forgery Prevention Cheat Sheet:
https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Sequence

from tidegate.gateway.upstream.target import Target
from tidegate.kernel.addresses import METADATA_HOSTS, is_inside, parse_address, refusal
from tidegate.kernel.errors import ProviderFailed, ProviderUnreachable

__all__ = ["KEEP_S", "Lookup", "Resolver", "not_allowed", "system_lookup"]

KEEP_S = 60.0

Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host for a port, best first; raises OSError when it has none."""


async def system_lookup(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver (hosts file, DNS), in a thread."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [str(address[0]) for *_, address in found]


class _Answer:
    """What a name led to. Times in seconds of the resolver's clock."""

    __slots__ = ("addresses", "until_s")

    def __init__(self, addresses: tuple[str, ...], until_s: float) -> None:
        self.addresses = addresses
        self.until_s = until_s


class Resolver:
    """Names and their addresses, for one process. A name is asked for once at a time, however many wait for it.

    A name that led to a public address is pinned: from then on no inside address of it is called, until `unpin`. A name
    whose addresses were inside from the first is a model server of one's own.
    """

    def __init__(self, lookup: Lookup = system_lookup, clock: Callable[[], float] = time.monotonic) -> None:
        self._lookup = lookup
        self._clock = clock
        self._kept: dict[str, _Answer] = {}
        self._public: set[str] = set()
        self._asked: dict[str, asyncio.Task[tuple[str, ...] | OSError]] = {}

    async def addresses(self, target: Target) -> tuple[str, ...]:
        """The addresses that this target may be called at, the best first, at least one. Raises ProviderUnreachable
        (upstream_not_resolved) or ProviderFailed (upstream_not_allowed).
        """
        literal = parse_address(target.host)
        if literal is not None:
            reason = refusal(literal)
            if reason is not None:
                raise not_allowed(target, f"{literal} {reason}")
            return (target.host,)
        if target.host.rstrip(".") in METADATA_HOSTS:
            raise not_allowed(target, "it is a cloud's metadata service")
        kept = self._kept.get(target.host)
        if kept is None or self._clock() >= kept.until_s:
            kept = await self._ask(target)
        return self._judged(target, kept.addresses)

    def reached(self, host: str, address: str) -> None:
        """This address took a connection: it is tried first the next time."""
        kept = self._kept.get(host)
        if kept is not None and address in kept.addresses[1:]:
            kept.addresses = (address, *(one for one in kept.addresses if one != address))

    def forget(self, host: str) -> None:
        """Ask anew the next time: no address of it took a connection."""
        self._kept.pop(host, None)

    def unpin(self) -> None:
        """The configuration says anew where upstreams are: what a name led to before no longer counts."""
        self._public.clear()
        self._kept.clear()

    async def _ask(self, target: Target) -> _Answer:
        host = target.host
        task = self._asked.get(host)
        if task is None:
            task = self._asked[host] = asyncio.create_task(self._found(host, target.port), name=f"resolve {host}")
        found = await asyncio.shield(task)
        if isinstance(found, OSError):
            raise ProviderUnreachable(
                f"The upstream {target.name!r} cannot be reached: the name {host} has no address "
                f"({found.strerror or found}).",
                mend="Check its base_url, and this machine's DNS.",
                code="upstream_not_resolved",
            )
        answer = self._kept[host] = _Answer(found, self._clock() + KEEP_S)
        return answer

    async def _found(self, host: str, port: int) -> tuple[str, ...] | OSError:
        """The addresses; a fault is returned, since nobody may be waiting for it any more."""
        try:
            found = tuple(dict.fromkeys(await self._lookup(host, port)))
            return found or OSError("an empty answer")
        except UnicodeError:
            return OSError("it is no name that DNS can carry")
        except OSError as error:
            return error
        finally:
            del self._asked[host]

    def _judged(self, target: Target, addresses: tuple[str, ...]) -> tuple[str, ...]:
        """Those of the addresses that may be called, public ones alone if there is or was one."""
        outside, inside, reason = _sorted(addresses)
        if outside:
            self._public.add(target.host)
        elif inside and target.host in self._public:
            raise not_allowed(
                target, f"it was public and now leads to {inside[0]}, within this machine or a private network"
            )
        found = outside or inside
        if not found:
            raise not_allowed(target, reason)
        return tuple(found)


def not_allowed(target: Target, reason: str) -> ProviderFailed:
    """The upstream leads where none may."""
    return ProviderFailed(
        f"The upstream {target.name!r} at {target.host} is not called: {reason}.",
        mend="The operator must check its base_url, policies.allowed_hosts and the name's DNS; "
        "if the name was moved on purpose, restart the gateways.",
        code="upstream_not_allowed",
    )


def _sorted(addresses: tuple[str, ...]) -> tuple[list[str], list[str], str]:
    """The public ones, those within this machine or a private network, and why the last of the others is neither."""
    outside: list[str] = []
    inside: list[str] = []
    reason = ""
    for text in addresses:
        address = parse_address(text)
        refused = refusal(address) if address is not None else "is no address"
        if address is None or refused is not None:
            reason = f"its address {text} {refused}"
        else:
            (inside if is_inside(address) else outside).append(text)
    return outside, inside, reason

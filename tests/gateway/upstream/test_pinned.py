"""The address that was judged is the address that is called: real connections to names that only our resolver knows."""

import asyncio
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.asking import ask_chat
from tests.support.certificates import Authority
from tests.support.scene import Start
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import chat
from tidegate.gateway.upstream.pool import Pool
from tidegate.gateway.upstream.resolver import Resolver
from tidegate.gateway.upstream.target import Target, make_target
from tidegate.kernel.errors import ProviderFailed

LOOPBACK = "127.0.0.1"


class Names:
    """A lookup that knows one name, and counts."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return self.addresses


def test_a_call_goes_to_the_address_and_says_the_name(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(base_url=f"http://llm.invalid:{upstream.port}/v1")
    names = Names(LOOPBACK)
    gateway.do(lambda: setattr(gateway.gateway._pool.resolver, "_lookup", names))
    for _ in range(3):
        assert ask_chat(gateway).json == chat()
    assert names.asked == 1
    assert upstream.last.headers["host"] == f"llm.invalid:{upstream.port}"


def target(port: int, host: str, authority: Authority) -> Target:
    """An upstream behind TLS whose authority is trusted."""
    made = make_target("main", f"https://{host}:{port}/v1", {}, {})
    made.tls = ssl.create_default_context(cafile=str(authority.ca))
    return made


@pytest.mark.parametrize(("host", "is_good"), [("localhost", True), ("llm.invalid", False)])
async def test_the_certificate_is_checked_against_the_name(tmp_path: Path, host: str, is_good: bool) -> None:
    authority = Authority(tmp_path / "ca")
    with ScriptedUpstream(authority.issue("upstream")) as upstream:
        pool = Pool(asyncio.get_running_loop(), Resolver(Names(LOOPBACK)))
        try:
            if is_good:
                await pool.reach(target(upstream.port, host, authority))
            else:
                with pytest.raises(ProviderFailed, match="certificate"):
                    await pool.reach(target(upstream.port, host, authority))
        finally:
            await pool.close()
            await asyncio.sleep(0.1)  # the other side hears of the end too
        assert upstream.received == []

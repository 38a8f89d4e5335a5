"""Several addresses of one name, tried in turn within the connect timeout; and TLS by name, whatever the address."""

import asyncio
import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.scene import CHAT
from tests.support.upstream import ScriptedUpstream
from tidegate.gateway.upstream.pool import Pool
from tidegate.gateway.upstream.resolver import Resolver
from tidegate.gateway.upstream.target import Target, make_target
from tidegate.kernel.errors import ProviderFailed, ProviderTimeout, ProviderUnreachable

LOOPBACK = "127.0.0.1"


def pool_of(*addresses: str) -> tuple[Pool, list[str]]:
    asked: list[str] = []

    async def lookup(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return addresses

    return Pool(asyncio.get_running_loop(), Resolver(lookup)), asked


async def sent(pool: Pool, target: Target) -> int:
    exchange = await pool.send(target, target.request("chat", json.dumps(CHAT).encode()), streaming=False)
    exchange.release()
    return exchange.status


async def close(pool: Pool) -> None:
    """Close it, and let the loop close the sockets."""
    await pool.close()
    await asyncio.sleep(0.01)


def target_at(port: int, scheme: str = "http") -> Target:
    return make_target("main", f"{scheme}://llm.example:{port}/v1", {"chat": "/chat/completions"}, {})


async def test_the_next_address_is_tried_when_one_refuses(upstream: ScriptedUpstream) -> None:
    pool, asked = pool_of("127.0.0.2", "::1", LOOPBACK)
    target = target_at(upstream.port)
    assert await sent(pool, target) == 200
    assert upstream.last.headers["host"] == f"llm.example:{upstream.port}"
    assert await pool.resolver.addresses(target) == (LOOPBACK, "127.0.0.2", "::1")
    await close(pool)
    assert asked == ["llm.example"]


async def test_a_silent_address_leaves_time_for_the_next(upstream: ScriptedUpstream) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.3", upstream.port))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        pool, _ = pool_of("127.0.0.3", LOOPBACK)
        target = target_at(upstream.port)
        target.connect_timeout_s = 0.6
        assert await sent(pool, target) == 200
        only, _ = pool_of("127.0.0.3")
        target.connect_timeout_s = 0.2
        with pytest.raises(ProviderTimeout, match=r"within 0\.2 s"):
            await sent(only, target)
        for sock in waiting:
            sock.close()
        await close(pool)


async def test_when_no_address_takes_a_connection_the_name_is_asked_for_anew(upstream: ScriptedUpstream) -> None:
    pool, asked = pool_of("127.0.0.2", "127.0.0.4")
    for _ in range(2):
        with pytest.raises(ProviderUnreachable, match="cannot be reached"):
            await sent(pool, target_at(upstream.port))
    assert len(asked) == 2


async def test_a_name_server_that_does_not_answer_is_a_timeout() -> None:
    async def never(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(60)
        return ()

    pool, target = Pool(asyncio.get_running_loop(), Resolver(never)), target_at(1)
    target.connect_timeout_s = 0.05
    with pytest.raises(ProviderTimeout):
        await sent(pool, target)


@pytest.mark.parametrize("named", ["llm.example", "other.example"])
async def test_the_certificate_is_checked_against_the_name(tmp_path: Path, named: str) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("this machine has no openssl to make a certificate with")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout k -out c"
    names = ["-subj", f"/CN={named}", "-addext", f"subjectAltName=DNS:{named}"]
    await asyncio.to_thread(subprocess.run, [*command.split(), *names], cwd=tmp_path, capture_output=True, check=True)
    with ScriptedUpstream(certificate=(tmp_path / "c", tmp_path / "k")) as upstream:
        pool, _ = pool_of(LOOPBACK)
        target = target_at(upstream.port, "https")
        target.tls = ssl.create_default_context(cafile=str(tmp_path / "c"))
        if named == "llm.example":
            assert await sent(pool, target) == 200
            assert upstream.last.headers["host"] == f"llm.example:{upstream.port}"
        else:
            with pytest.raises(ProviderUnreachable, match="certificate"):
                await sent(pool, target)
            assert upstream.received == []
        await close(pool)


async def test_a_refusal_is_no_provider_that_is_unreachable(upstream: ScriptedUpstream) -> None:
    pool, _ = pool_of(LOOPBACK)
    pool.allow(("api.openai.com",))
    with pytest.raises(ProviderFailed) as caught:
        await pool.reach(target_at(upstream.port))
    assert caught.value.code == "upstream_not_allowed"
    assert not isinstance(caught.value, ProviderUnreachable)
    pool.allow(())
    await pool.reach(target_at(upstream.port))
    await close(pool)

"""Names lead where they may: judged, kept for a while, pinned against rebinding, and asked for once at a time."""

import asyncio
import socket
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.gateway.upstream.resolver import KEEP_S, Resolver, system_lookup
from tidegate.gateway.upstream.target import Target, make_target
from tidegate.kernel.addresses import is_inside, parse_address, refusal
from tidegate.kernel.errors import ProviderFailed, ProviderUnreachable

PUBLIC, OTHER, LOOPBACK, PRIVATE = "93.184.216.34", "8.8.8.8", "127.0.0.1", "10.1.2.3"
METADATA = "169.254.169.254"


class FakeNames:
    """A name server that says what a test tells it to; its clock stands still until it is moved."""

    def __init__(self, *addresses: str) -> None:
        self.addresses: Sequence[str] = addresses
        self.asked: list[str] = []
        self.now_s = 0.0
        self.fault: Exception | None = None

    async def lookup(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault
        return self.addresses

    def resolver(self) -> Resolver:
        return Resolver(self.lookup, lambda: self.now_s)


def target(url: str = "http://llm.example/v1") -> Target:
    return make_target("main", url, {}, {})


async def refused(resolver: Resolver, one: Target) -> str:
    with pytest.raises(ProviderFailed) as caught:
        await resolver.addresses(one)
    assert caught.value.code == "upstream_not_allowed"
    assert caught.value.mend
    return caught.value.message


@pytest.mark.parametrize("address", [PUBLIC, LOOPBACK, PRIVATE, "::1", "fd12::1"])
async def test_a_name_leads_to_its_address(address: str) -> None:
    assert await FakeNames(address).resolver().addresses(target()) == (address,)


@pytest.mark.parametrize(
    "address",
    [METADATA, "fe80::1%eth0", "fd00:ec2::254", "100.100.100.200", "0.0.0.0", "::", "224.0.0.1", "ff02::1",
     "::ffff:169.254.169.254", "2002:a9fe:a9fe::1", "64:ff9b::a9fe:a9fe", "2001:0:a9fe:a9fe::1", "nonsense"],
)  # fmt: skip
async def test_a_name_that_leads_where_credentials_lie_is_refused(address: str) -> None:
    message = await refused(FakeNames(address).resolver(), target())
    assert address in message
    assert "llm.example" in message


async def test_only_the_good_addresses_of_a_name_are_called() -> None:
    assert await FakeNames(METADATA, PRIVATE, "fe80::1").resolver().addresses(target()) == (PRIVATE,)
    assert await FakeNames(LOOPBACK, PUBLIC, OTHER).resolver().addresses(target()) == (PUBLIC, OTHER)


@pytest.mark.parametrize("host", ["metadata.google.internal", "metadata.google.internal.", "METADATA.goog"])
async def test_a_metadata_service_is_refused_by_name(host: str) -> None:
    names = FakeNames(PUBLIC)
    await refused(names.resolver(), target(f"http://{host}/v1"))
    assert names.asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "10.0.0.1", "93.184.216.34"])
async def test_a_literal_address_asks_no_name_server(host: str) -> None:
    names = FakeNames()
    assert await names.resolver().addresses(target(f"http://{host}:8000/v1")) == (host.strip("[]"),)
    assert names.asked == []


@pytest.mark.parametrize("host", [METADATA, "[fe80::1]", "[::ffff:169.254.169.254]", "0.0.0.0", "[fd00:ec2::254]"])
async def test_a_literal_address_is_judged_too(host: str) -> None:
    await refused(FakeNames().resolver(), target(f"http://{host}/v1"))


@pytest.mark.parametrize("host", ["0xa9fea9fe", "2852039166", "0251.0376.0251.0376", "169.254.43518"])
async def test_an_address_in_disguise_is_judged_as_what_it_is(host: str) -> None:
    await refused(Resolver(system_lookup), target(f"http://{host}/v1"))


# Kept, and asked for anew.


async def test_an_answer_is_kept_for_a_while() -> None:
    names = FakeNames(PUBLIC)
    resolver, one = names.resolver(), target()
    await resolver.addresses(one)
    names.addresses, names.now_s = (OTHER,), KEEP_S - 1
    assert await resolver.addresses(one) == (PUBLIC,)
    names.now_s = KEEP_S
    assert await resolver.addresses(one) == (OTHER,)
    assert len(names.asked) == 2


async def test_after_a_failure_it_is_asked_for_anew() -> None:
    names = FakeNames(PUBLIC)
    resolver, one = names.resolver(), target()
    await resolver.addresses(one)
    names.addresses = (OTHER,)
    resolver.forget(one.host)
    assert await resolver.addresses(one) == (OTHER,)


async def test_the_address_that_took_a_connection_is_the_first() -> None:
    resolver, one = FakeNames(PUBLIC, OTHER).resolver(), target()
    await resolver.addresses(one)
    resolver.reached(one.host, OTHER)
    assert await resolver.addresses(one) == (OTHER, PUBLIC)


async def test_many_at_once_ask_once_and_one_that_leaves_spoils_nothing() -> None:
    names = FakeNames(PUBLIC)
    resolver = names.resolver()
    asking = [asyncio.create_task(resolver.addresses(target())) for _ in range(20)]
    await asyncio.sleep(0)
    asking[0].cancel()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert found[1:] == [(PUBLIC,)] * 19
    assert len(names.asked) == 1


@pytest.mark.parametrize(
    "fault", [socket.gaierror(-2, "Name or service not known"), OSError("no route"), UnicodeError("label too long")]
)
async def test_a_name_without_an_address(fault: Exception) -> None:
    names = FakeNames(PUBLIC)
    names.fault = fault
    resolver = names.resolver()
    with pytest.raises(ProviderUnreachable, match=r"llm\.example has no address") as caught:
        await resolver.addresses(target())
    assert caught.value.code == "upstream_not_resolved"
    names.fault = None
    assert await resolver.addresses(target()) == (PUBLIC,)


async def test_an_empty_answer_is_no_address() -> None:
    with pytest.raises(ProviderUnreachable, match="empty"):
        await FakeNames().resolver().addresses(target())


# Rebinding.


@pytest.mark.parametrize("inside", [LOOPBACK, "::1", PRIVATE, "192.168.0.1", "fd12::1", "::ffff:127.0.0.1"])
async def test_a_public_name_that_turns_inside_is_refused(inside: str) -> None:
    names = FakeNames(PUBLIC)
    resolver = names.resolver()
    await resolver.addresses(target())
    names.addresses, names.now_s = (inside,), KEEP_S
    assert inside in await refused(resolver, target())
    names.now_s = 100 * KEEP_S
    assert "was public" in await refused(resolver, target())
    names.addresses, names.now_s = (inside, OTHER), 200 * KEEP_S
    assert await resolver.addresses(target()) == (OTHER,)


async def test_a_new_configuration_may_say_otherwise() -> None:
    names = FakeNames(PUBLIC)
    resolver = names.resolver()
    await resolver.addresses(target())
    names.addresses = (PRIVATE,)
    resolver.unpin()
    assert await resolver.addresses(target()) == (PRIVATE,)


ADDRESSES = st.lists(
    st.one_of(
        st.sampled_from([PUBLIC, OTHER, LOOPBACK, PRIVATE, METADATA, "::1", "fe80::1", "::ffff:10.0.0.1", "0.0.0.0"]),
        st.ip_addresses().map(str),
    ),
    min_size=1,
    max_size=4,
)


@given(st.lists(ADDRESSES, min_size=1, max_size=6))
def test_whatever_a_name_server_says(answers: list[list[str]]) -> None:
    """Nothing that is refused is ever handed out, and nothing inside once a public address was."""

    async def told() -> None:
        names = FakeNames()
        resolver, was_public = names.resolver(), False
        for answer in answers:
            names.addresses, names.now_s = answer, names.now_s + KEEP_S
            try:
                found = [parse_address(text) for text in await resolver.addresses(target())]
            except ProviderFailed:
                continue
            assert all(one is not None and refusal(one) is None for one in found)
            inside = [one for one in found if one is not None and is_inside(one)]
            assert not (was_public and inside)
            was_public = was_public or len(inside) < len(found)

    asyncio.run(told())

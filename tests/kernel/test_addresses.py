"""No writing of an address hides what it is."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.kernel.addresses import disguised_address, is_inside, parse_address, refusal

NEVER = [
    "169.254.169.254", "169.254.0.1", "168.63.129.16", "100.100.100.200", "0.0.0.0", "0.1.2.3", "224.0.0.1",
    "255.255.255.255", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fd00:ec2::254%1", "fd00:ec2::23", "fd20:ce::254",
    "::", "ff02::1",
]  # fmt: skip
V4 = st.ip_addresses(v=4)


def written(v4: ipaddress.IPv4Address) -> list[str]:
    """An IPv4 address in every IPv6 writing that some network translates back."""
    number = int(v4)
    teredo = ipaddress.IPv6Address((0x20010000 << 96) | (0x08080808 << 64) | (number ^ 0xFFFFFFFF))
    return [
        f"::ffff:{v4}",
        str(ipaddress.IPv6Address((0x2002 << 112) | (number << 80) | 1)),
        str(teredo),
        str(ipaddress.IPv6Address((0x64FF9B << 96) | number)),
    ]


@pytest.mark.parametrize("text", NEVER)
def test_what_is_never_called(text: str) -> None:
    address = parse_address(text)
    assert address is not None
    assert refusal(address)
    if isinstance(address, ipaddress.IPv4Address):
        for other in written(address):
            hidden = parse_address(other)
            assert hidden is not None
            assert refusal(hidden), other
            assert disguised_address(hidden)


@pytest.mark.parametrize("text", ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "fd12::1", "100.64.0.1"])
def test_a_model_of_ones_own(text: str) -> None:
    address = parse_address(text)
    assert address is not None
    assert refusal(address) is None
    assert is_inside(address)


@pytest.mark.parametrize("text", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_a_public_one(text: str) -> None:
    address = parse_address(text)
    assert address is not None
    assert refusal(address) is None
    assert not is_inside(address)


def test_a_name_is_no_address() -> None:
    assert parse_address("api.openai.com") is None
    assert parse_address("0x7f000001") is None


@given(V4)
def test_every_writing_is_judged_alike(v4: ipaddress.IPv4Address) -> None:
    for text in written(v4):
        address = parse_address(text)
        assert address is not None
        assert (refusal(address) is None) == (refusal(v4) is None)
        assert is_inside(address) == is_inside(v4)

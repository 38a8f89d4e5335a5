"""Which network addresses may be called: not those where a cloud hands out its credentials, nor those that are
nobody's.

Special ranges: https://www.iana.org/assignments/iana-ipv4-special-registry (RFC 6890); IPv4 within IPv6: RFC 4291
2.5.5 (compatible and mapped), RFC 3056 (6to4), RFC 4380 (Teredo), RFC 6052 (NAT64).
Metadata: docs.aws.amazon.com/AWSEC2 (169.254.169.254, fd00:ec2::254), alibabacloud.com/help/ecs (100.100.100.200),
cloud.google.com/compute/docs/metadata (fd20:ce::254), learn.microsoft.com/azure (168.63.129.16).
"""

import ipaddress

__all__ = ["METADATA_HOSTS", "IPAddress", "disguised_address", "is_inside", "parse_address", "refusal"]

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

METADATA_HOSTS = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data"})

_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in ("169.254.169.254", "168.63.129.16", "100.100.100.200", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254")
)
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
_BROADCAST = ipaddress.ip_address("255.255.255.255")
_COMPATIBLE = ipaddress.ip_network("::/96")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SHARED = ipaddress.ip_network("100.64.0.0/10")


def parse_address(host: str) -> IPAddress | None:
    """The address that a host is written as; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def disguised_address(address: IPAddress) -> bool:
    """Whether this is an IPv4 address written as IPv6."""
    return bool(_within(address))


def refusal(address: IPAddress) -> str | None:
    """Why an address is never called, in words that go on after its name; None: it may be. An IPv4 address within an
    IPv6 one is judged by itself.
    """
    for one in _within(address) or (_plain(address),):
        if one in _METADATA or one.is_link_local:
            return "is link-local, where a cloud's metadata service hands out credentials"
        if one.is_unspecified or one.is_multicast or one == _BROADCAST or one in _THIS_NETWORK:
            return "is no address that one can call"
    return None


def is_inside(address: IPAddress) -> bool:
    """Whether it leads to this machine or a private network (RFC 1918, RFC 4193, RFC 6598), in any writing."""
    meant = _within(address) or (_plain(address),)
    return any(one.is_loopback or one.is_private or one in _SHARED for one in meant)


def _plain(address: IPAddress) -> IPAddress:
    """The address without its zone."""
    return address if isinstance(address, ipaddress.IPv4Address) else ipaddress.IPv6Address(address.packed)


def _within(address: IPAddress) -> tuple[IPAddress, ...]:
    """The IPv4 addresses that an IPv6 address stands for; Teredo has two, its server and its client."""
    if isinstance(address, ipaddress.IPv4Address):
        return ()
    plain = ipaddress.IPv6Address(address.packed)
    if plain.ipv4_mapped is not None:
        return (plain.ipv4_mapped,)
    if plain.sixtofour is not None:
        return (plain.sixtofour,)
    if plain.teredo is not None:
        return plain.teredo
    if plain in _NAT64 or (plain in _COMPATIBLE and int(plain) > 1):
        return (ipaddress.IPv4Address(int(plain) & 0xFFFFFFFF),)
    return ()

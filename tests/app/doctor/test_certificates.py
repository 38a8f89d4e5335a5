"""Faults of the TLS certificates, each produced and found."""

from pathlib import Path

import pytest

from tests.app.doctor.ward import Ward
from tests.support.certificates import Authority
from tidegate.app.doctor.certificates import DAY_MS, SOON_DAYS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> tuple[Path, Path]:
    cert, key = authority.issue("lasting", days=90)
    key.chmod(0o600)
    return cert, key


def serve(ward: Ward, side: str, cert: Path | str, key: Path | str) -> None:
    """Have the settings name these files."""
    ward.environ |= {f"TIDEGATE_{side.upper()}_TLS_CERT": str(cert), f"TIDEGATE_{side.upper()}_TLS_KEY": str(key)}


@pytest.mark.parametrize("side", ["gateway", "control"])
def test_a_good_pair_is_well(ward: Ward, side: str, pair: tuple[Path, Path]) -> None:
    serve(ward, side, *pair)
    assert ward.codes() == set()


@pytest.mark.parametrize("side", ["gateway", "control"])
@pytest.mark.parametrize(
    ("days", "code"),
    [
        (-1, "certificate_not_valid"),
        (90 - SOON_DAYS - 1, None),
        (90 - SOON_DAYS + 1, "certificate_ends_soon"),
        (89, "certificate_ends_soon"),
        (91, "certificate_not_valid"),
    ],
)
def test_its_time(ward: Ward, side: str, pair: tuple[Path, Path], days: int, code: str | None) -> None:
    serve(ward, side, *pair)
    ward.machine = ward.machine._replace(now_ms=ward.machine.now_ms + days * DAY_MS)
    if code is None:
        assert ward.codes() == set()
    else:
        assert "lasting.pem" in ward.found(code).what


def test_a_chain_ends_with_what_ends_first(ward: Ward, authority: Authority, pair: tuple[Path, Path]) -> None:
    chain = ward.folder / "chain.pem"
    chain.write_bytes(pair[0].read_bytes() + authority.ca.read_bytes())
    serve(ward, "gateway", "chain.pem", pair[1])
    assert "chain.pem is good until" in ward.found("certificate_ends_soon").what


def test_a_key_of_another_certificate(ward: Ward, authority: Authority, pair: tuple[Path, Path]) -> None:
    serve(ward, "gateway", pair[0], authority.issue("another")[1])
    finding = ward.found("certificate_bad")
    assert "another certificate's" in finding.what
    assert "server.gateway_tls_key" in finding.mend


@pytest.mark.parametrize(
    ("cert", "key"), [("missing.pem", None), (None, "missing.key"), ("tidegate.yaml", None), (None, "tidegate.yaml")]
)
def test_a_file_that_is_none(ward: Ward, pair: tuple[Path, Path], cert: str | None, key: str | None) -> None:
    serve(ward, "control", cert or pair[0], key or pair[1])
    assert (cert or key or "") in ward.found("certificate_bad").what


def test_half_a_pair(ward: Ward, pair: tuple[Path, Path]) -> None:
    ward.environ["TIDEGATE_GATEWAY_TLS_CERT"] = str(pair[0])
    assert "only one is set" in ward.found("invalid_setting").what


def test_a_key_that_everybody_can_read(ward: Ward, pair: tuple[Path, Path]) -> None:
    key = ward.folder / "open.key"
    key.write_bytes(pair[1].read_bytes())
    key.chmod(0o644)
    serve(ward, "gateway", pair[0], "open.key")
    assert "open.key (mode 0644)" in ward.found("certificate_key_open").what


def test_whom_commands_trust(ward: Ward, pair: tuple[Path, Path]) -> None:
    ward.environ["TIDEGATE_CONTROL_CA_FILE"] = str(pair[0])
    assert ward.codes() == set()
    ward.environ["TIDEGATE_CONTROL_CA_FILE"] = "tidegate.yaml"
    assert "control_ca_file" in ward.found("certificate_authority_bad").mend

"""What this host's gateways say of their breakers, as `tidegate route explain` tells it."""

from pathlib import Path

from tidegate.adapters.metrics.files import hold_alive, write_state
from tidegate.app.explaining import health_of
from tidegate.gateway.ports import GatewayState


def test_breakers_are_told_over_all_living_gateways(tmp_path: Path) -> None:
    for number, breakers in enumerate(({"a": "open", "b": "closed"}, {"a": "closed"}, {"a": "half_open"}), 1):
        write_state(tmp_path, GatewayState(gateway_id=f"gw_{number}", pid=number, breakers=breakers))
    locks = [hold_alive(tmp_path, f"gw_{number}") for number in (1, 2)]
    try:
        told = health_of(tmp_path)
    finally:
        for lock in locks:
            lock.close()
    assert told == {"a": "breaker open in 1 of 2 gateways", "b": "breaker closed"}


def test_without_gateways_nothing_is_told(tmp_path: Path) -> None:
    assert health_of(tmp_path) == {}

"""The gateways' meters as files: summed, and no counter ever falls."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from tests.support.calls import a_record
from tidegate.adapters.metrics.files import exposition, hold_alive, read_states, retire_dead, write_state
from tidegate.gateway.meters import Meters
from tidegate.gateway.ports import GatewayState


class Living:
    """Gateways that live, until they are killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._locks: dict[str, IO[bytes]] = {}

    def write(self, gateway_id: str, calls: int, **fields: Any) -> None:
        """Have a gateway write down that it has counted so many calls."""
        if gateway_id not in self._locks:
            self._locks[gateway_id] = hold_alive(self.folder, gateway_id)
        meters = Meters()
        for number in range(calls):
            meters.count(a_record(number, latency_ms=15.0, ttft_ms=5.0, input_tokens=2, cost_nano_usd=500_000_000))
        write_state(self.folder, GatewayState(gateway_id=gateway_id, pid=7, totals=meters.totals(), **fields))

    def kill(self, gateway_id: str) -> None:
        self._locks.pop(gateway_id).close()

    def lines(self) -> dict[str, float]:
        """The exposition's values by their names without labels."""
        text = exposition(read_states(self.folder)).decode()
        found = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                found[name.partition("{")[0]] = float(value)
        return found


@pytest.fixture
def living(tmp_path: Path) -> Iterator[Living]:
    gateways = Living(tmp_path)
    yield gateways
    for lock in gateways._locks.values():
        lock.close()


def test_several_processes_are_one_sum(living: Living) -> None:
    living.write("gw_a", 3, generation=5, in_flight=1, records_waiting=2)
    living.write("gw_b", 4, generation=4, in_flight=2, records_dropped=1)
    lines = living.lines()
    assert lines["tidegate_calls_total"] == 7
    assert lines["tidegate_gateways"] == 2
    assert lines["tidegate_in_flight_calls"] == 3
    assert lines["tidegate_records_waiting"] == 2
    assert lines["tidegate_records_dropped_total"] == 1
    assert lines["tidegate_snapshot_generation"] == 4
    assert lines["tidegate_cost_usd_total"] == 3.5
    assert lines["tidegate_call_duration_seconds_count"] == 7
    assert lines["tidegate_call_duration_seconds_sum"] == pytest.approx(0.105)
    assert lines["tidegate_time_to_first_token_seconds_count"] == 7


def test_probes_are_summed_and_kept_when_a_process_dies(living: Living) -> None:
    living.write("gw_a", 0, probes={"main": {"well": 3, "ill": 1}})
    living.write("gw_b", 0, probes={"main": {"well": 2}, "other": {"ill": 4}})
    living.kill("gw_a")
    for _ in range(2):
        text = exposition(read_states(living.folder)).decode()
        assert 'tidegate_probes_total{deployment="main",outcome="well"} 5.0' in text
        assert 'tidegate_probes_total{deployment="main",outcome="ill"} 1.0' in text
        assert 'tidegate_probes_total{deployment="other",outcome="ill"} 4.0' in text
        retire_dead(living.folder)


def test_no_counter_falls_when_a_process_dies(living: Living) -> None:
    living.write("gw_a", 3, in_flight=9, generation=1)
    living.write("gw_b", 4, generation=6)
    living.kill("gw_a")
    for _ in range(3):
        lines = living.lines()
        assert lines["tidegate_calls_total"] == 7
        assert (lines["tidegate_gateways"], lines["tidegate_in_flight_calls"]) == (1, 0)
        assert lines["tidegate_snapshot_generation"] == 6
        retire_dead(living.folder)
    assert not list(living.folder.glob("gw_a*"))
    living.write("gw_c", 1)
    living.kill("gw_b")
    retire_dead(living.folder)
    assert living.lines()["tidegate_calls_total"] == 8


def test_a_process_that_has_the_pid_of_a_dead_one_is_another(living: Living) -> None:
    """In a container every life of the gateway has the same pid."""
    living.write("gw_old", 3)
    living.kill("gw_old")
    living.write("gw_new", 1)
    retire_dead(living.folder)
    lines = living.lines()
    assert (lines["tidegate_calls_total"], lines["tidegate_gateways"]) == (4, 1)


def test_several_that_clean_up_at_once_count_nothing_twice(living: Living) -> None:
    for number in range(20):
        living.write(f"gw_{number}", 1)
        living.kill(f"gw_{number}")
    threads = [threading.Thread(target=retire_dead, args=(living.folder,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert living.lines()["tidegate_calls_total"] == 20


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b'{"gateway_id": "x"}',
        b'{"gateway_id":"x","pid":1,"totals":[{"series":{"endpoint":"a","model":"","prompt":"","version":"","ending":"complete","status":200},"latency_buckets":[1],"ttft_buckets":[1]}]}',
    ],
    ids=["empty", "half", "fields missing", "other buckets"],
)
def test_a_file_that_cannot_be_read_is_passed_over(living: Living, damage: bytes) -> None:
    living.write("gw_a", 2)
    (living.folder / "retired.json").write_bytes(damage)
    (living.folder / "gw_x.metrics.json").write_bytes(damage)
    assert living.lines()["tidegate_calls_total"] == 2
    retire_dead(living.folder)
    assert living.lines()["tidegate_calls_total"] == 2


def test_nothing_is_left_of_a_process_that_died_before_it_counted(tmp_path: Path) -> None:
    hold_alive(tmp_path, "gw_short").close()
    with hold_alive(tmp_path, "gw_long"):
        retire_dead(tmp_path)
        assert [file.stem for file in tmp_path.glob("*.alive")] == ["gw_long"]


def test_nothing_counted_is_still_an_exposition(tmp_path: Path) -> None:
    assert b"tidegate_gateways 0.0" in exposition(read_states(tmp_path))

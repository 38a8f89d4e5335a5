"""Faults of the machine, invented and found."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.app.doctor.ward import Ward
from tidegate.app.doctor.patient import DiskSpace

GB = 1024**3


def disk(free_bytes: int = 50 * GB, total_bytes: int = 100 * GB, free_inodes: int | None = 1_000_000):
    return lambda folder: DiskSpace(free_bytes, total_bytes, free_inodes)


@pytest.mark.parametrize("year", [1970, 2021, 2106])
def test_clock_wrong(ward: Ward, year: int) -> None:
    ward.machine = ward.machine._replace(now_ms=round(datetime(year, 5, 1, tzinfo=UTC).timestamp() * 1000))
    finding = next(one for one in ward.examine() if one.code == "clock_wrong")
    assert str(year) in finding.what


def test_disk_nearly_full(ward: Ward) -> None:
    ward.machine = ward.machine._replace(disk=disk(free_bytes=GB // 2))
    assert "512 MB" in ward.found("disk_nearly_full").what


def test_disk_full(ward: Ward) -> None:
    ward.machine = ward.machine._replace(disk=disk(free_bytes=1024))
    assert "calls_max_mb" in ward.found("disk_full").mend


def test_a_small_disk_with_a_tenth_free_is_well(ward: Ward) -> None:
    ward.machine = ward.machine._replace(disk=disk(free_bytes=GB // 2, total_bytes=2 * GB))
    assert ward.codes() == set()


def test_inodes_nearly_used(ward: Ward) -> None:
    ward.machine = ward.machine._replace(disk=disk(free_inodes=12))
    assert "12 files" in ward.found("inodes_nearly_used").what


def test_a_disk_that_counts_no_inodes_is_well(ward: Ward) -> None:
    ward.machine = ward.machine._replace(disk=disk(free_inodes=None))
    assert ward.codes() == set()


def test_the_real_disk_can_be_read(ward: Ward, tmp_path: Path) -> None:
    space = ward.machine.disk(tmp_path)
    assert 0 < space.free_bytes <= space.total_bytes


def test_open_files_low(ward: Ward) -> None:
    ward.machine = ward.machine._replace(open_files=256)
    assert "ulimit -n" in ward.found("open_files_low").mend


def test_no_limit_of_open_files_is_well(ward: Ward) -> None:
    ward.machine = ward.machine._replace(open_files=-1)
    assert ward.codes() == set()


def test_python_old(ward: Ward) -> None:
    ward.machine = ward.machine._replace(python=(3, 10, 4))
    assert "3.10.4" in ward.found("python_old").what


def test_sqlite_old(ward: Ward) -> None:
    ward.machine = ward.machine._replace(sqlite=(3, 31, 1))
    assert "3.31.1" in ward.found("sqlite_old").what

"""Checks of the machine: clock, disk, limits, versions."""

from collections.abc import Iterator
from datetime import UTC, datetime

from tidegate.app.doctor.faults import Finding, found
from tidegate.app.doctor.patient import Patient

__all__ = ["check_clock", "check_disk", "check_limits", "check_versions"]

PYTHON = (3, 11)
SQLITE = (3, 35, 0)
"""RETURNING, and the WAL of today."""
YEARS = (2026, 2100)
"""Before the first of them this version did not exist."""
FULL_BYTES = 100 * 1024**2
NEARLY_FULL_BYTES = 1024**3
FEW_INODES = 10_000
OPEN_FILES = 1024


def check_clock(patient: Patient) -> Iterator[Finding]:
    """A year that cannot be: a dead battery, a machine restored from an image."""
    date = datetime.fromtimestamp(patient.machine.now_ms / 1000, UTC)
    if not YEARS[0] <= date.year < YEARS[1]:
        yield found("clock_wrong", date=date.date().isoformat())


def check_disk(patient: Patient) -> Iterator[Finding]:
    """Room for records, and for files."""
    folder = next(one for one in (patient.settings.state_dir, patient.settings.workspace) if one.is_dir())
    space = patient.machine.disk(folder)
    free_mb = space.free_bytes // 1024**2
    if space.free_bytes < FULL_BYTES:
        yield found("disk_full", free_mb=free_mb, folder=folder)
    elif space.free_bytes < min(NEARLY_FULL_BYTES, space.total_bytes // 10):
        yield found("disk_nearly_full", free_mb=free_mb, folder=folder)
    if space.free_inodes is not None and space.free_inodes < FEW_INODES:
        yield found("inodes_nearly_used", free=space.free_inodes, folder=folder)


def check_limits(patient: Patient) -> Iterator[Finding]:
    """Open files: each call under way has two connections."""
    limit = patient.machine.open_files
    if 0 <= limit < OPEN_FILES:
        yield found("open_files_low", limit=limit, enough=OPEN_FILES)


def check_versions(patient: Patient) -> Iterator[Finding]:
    """Python and the SQLite in it."""
    if patient.machine.python < PYTHON:
        yield found("python_old", version=_dotted(patient.machine.python), needed=_dotted(PYTHON))
    if patient.machine.sqlite < SQLITE:
        yield found("sqlite_old", version=_dotted(patient.machine.sqlite), needed=_dotted(SQLITE))


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))

"""The doctor's round: every check in one table, done side by side, each with its own short patience."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tidegate.app.doctor import (
    batches,
    certificates,
    databases,
    experiments,
    files,
    machine,
    ports,
    repository,
    serving,
    upstreams,
)
from tidegate.app.doctor.faults import Finding, found
from tidegate.app.doctor.patient import Machine, Patient, this_machine
from tidegate.kernel.errors import NotFound, TidegateError
from tidegate.settings import Settings, find_workspace, load_settings

__all__ = ["CHECKS", "Check", "examine", "examine_folder"]

AT_ONCE = 8


class Check(NamedTuple):
    """One check: the name that it has when all is well, what then is so, and the function that looks."""

    name: str
    well: str
    look: Callable[[Patient], Iterable[Finding]]


CHECKS: tuple[Check, ...] = (
    Check("config", "tidegate.yaml is in order", files.check_config),
    Check("settings", "the TIDEGATE_* variables can be read", files.check_settings),
    Check("variables", "no TIDEGATE_* variable is unknown", files.check_variables),
    Check("applied", "the file is what holds, or nothing was applied yet", databases.check_applied),
    Check("keys", "the keys are there, strong, and for their owner only", files.check_keys),
    Check("state", "the state folder is writable and closed to others", files.check_state_dir),
    Check("certificates", "TLS certificates, if any, are good for some time", certificates.check_certificates),
    Check("ports", "the ports are free, or this workspace's own", ports.check_ports),
    Check("database", "the database files are whole and free", databases.check_files),
    Check("schema", "the schema is the one that this version needs", databases.check_schema),
    Check("calls", "the call log is within its bounds", databases.check_calls),
    Check("batches", "the gateways' call records are unpacked as they come", batches.check_batches),
    Check("repository", "the repository is there, with everything committed", repository.check_repository),
    Check("prompts", "every committed prompt file is good", repository.check_prompts),
    Check("experiments", "no experiment is long past its end", experiments.check_experiments),
    Check("clock", "the clock can be right", machine.check_clock),
    Check("clocks", "the clocks agree", databases.check_clocks),
    Check("disk", "there is room on the disk", machine.check_disk),
    Check("limits", "enough files may be open", machine.check_limits),
    Check("versions", "Python and SQLite are new enough", machine.check_versions),
    Check("models", "every model server answers and has its model", upstreams.check_models),
    Check("prices", "every model has a price", upstreams.check_prices),
    Check("notifiers", "every notifier has an address", upstreams.check_notifiers),
    Check("processes", "no process is missing", serving.check_processes),
    Check("snapshot", "the gateways' last Snapshot is whole, or there was none", serving.check_snapshot),
)


def examine_folder(
    start: Path, environ: Mapping[str, str], *, exact: bool = False, machine: Machine | None = None
) -> tuple[Finding, ...]:
    """Examine the workspace in `start`, or (unless `exact`) in the nearest folder above. Settings that cannot be read
    are a finding, not an end.
    """
    try:
        folder: Path | None = find_workspace(start.resolve())
    except NotFound:
        folder = None
    if folder is None or (exact and folder != start.resolve()):
        return (found("no_workspace", folder=start),)
    machine = machine or this_machine()
    try:
        patient = Patient(load_settings(folder, environ), environ, machine)
    except TidegateError:  # the checks of file and variables tell
        patient = Patient(Settings(workspace=folder), environ, machine, guessed=True)
    return examine(patient)


def examine(patient: Patient) -> tuple[Finding, ...]:
    """Do every check and return its findings, in the table's order; a check without any gives one that is `ok`."""
    _ = patient.checked  # read once, before the checks share it
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(lambda check: _done(check, patient), CHECKS))
    return tuple(finding for result in results for finding in result)


def _done(check: Check, patient: Patient) -> tuple[Finding, ...]:
    return tuple(_looked(check, patient)) or (Finding(code=check.name, level="ok", what=check.well),)


def _looked(check: Check, patient: Patient) -> Iterator[Finding]:
    try:
        yield from check.look(patient)
    except Exception as error:  # one broken check must not hide what the others find
        yield found("check_failed", name=check.name, reason=f"{type(error).__name__}: {error}")

"""Checks of the workspace's files: tidegate.yaml, the key file, the state folder."""

import os
import tempfile
from collections.abc import Iterator
from difflib import get_close_matches

from tidegate.adapters.git.state import is_tracked
from tidegate.app.doctor.faults import Finding, found
from tidegate.app.doctor.patient import Patient
from tidegate.app.workspace.keys import SHORTEST, key_values
from tidegate.kernel.errors import Invalid, InvalidDocument
from tidegate.settings import Keys, Settings, load_settings

__all__ = ["VARIABLES", "check_config", "check_keys", "check_settings", "check_state_dir", "check_variables"]

VARIABLES = frozenset(
    {f"TIDEGATE_{name.upper()}" for name in (*Settings.__struct_fields__, *Keys.__struct_fields__)}
    | {"TIDEGATE_GIT_TOKEN", "TIDEGATE_LOG_FORMAT", "TIDEGATE_ORDERS", "TIDEGATE_SERVER", "TIDEGATE_TOKEN"}
    | {"TIDEGATE_ALLOW_PLAIN_HTTP", "TIDEGATE_MASTER_KEY_PREVIOUS", "TIDEGATE_SEALED"}
)
"""The variables that some part of Tidegate reads."""

_FEWEST_LETTERS = 8


def check_config(patient: Patient) -> Iterator[Finding]:
    """Every fault of tidegate.yaml, one finding each; faults of settings have their own code."""
    _, faults = patient.checked
    for fault in faults:
        if fault.code.startswith("yaml_") or fault.code in ("not_utf8", "unreadable"):
            yield found("config_not_yaml", fault=_told(fault))
        elif "`server." in fault.message:
            yield found("invalid_setting", fault=_told(fault), mend=fault.mend)
        else:
            yield found("config_faulty", fault=_told(fault), mend=fault.mend)


def check_settings(patient: Patient) -> Iterator[Finding]:
    """A TIDEGATE_* variable whose value is of the wrong kind."""
    if patient.config is None:
        return  # its own finding
    try:
        load_settings(patient.settings.workspace, patient.environ)
    except Invalid as error:
        yield found("invalid_setting", fault=error.message, mend=error.mend)


def check_variables(patient: Patient) -> Iterator[Finding]:
    """A TIDEGATE_* variable that nothing reads: mostly a slip of the pen."""
    for name in sorted(patient.environ):
        if name.startswith("TIDEGATE_") and name not in VARIABLES:
            near = get_close_matches(name, VARIABLES, n=1)
            yield found("unknown_variable", name=name, hint=f"Did you mean {near[0]}?" if near else "Take it out.")


def check_keys(patient: Patient) -> Iterator[Finding]:
    """The key file: there, closed to others, strong, and not in Git. The environment may stand in for it."""
    settings, environ = patient.settings, patient.environ
    file = patient.shown(settings.key_file)
    names = Keys.__struct_fields__
    given = {name: environ[variable] for name in names if (variable := f"TIDEGATE_{name.upper()}") in environ}
    if not settings.key_file.is_file():
        if len(given) < len(names):
            yield found("key_file_missing", file=file, folder=settings.workspace)
            return
        values = given
    else:
        mode = settings.key_file.stat().st_mode & 0o777
        if mode & 0o077:
            yield found("key_file_open", file=file, mode=f"{mode:04o}")
        if is_tracked(settings.workspace, settings.key_file):
            yield found("key_file_tracked", file=file)
        try:
            values = {**key_values(settings.key_file.read_text(encoding="utf-8", errors="replace")), **given}
        except OSError as error:
            yield found("key_file_unreadable", file=file, reason=error.strerror)
            return
    for name in names:
        if _weak(values.get(name, "")):
            yield found("key_file_weak", name=name, shortest=SHORTEST, file=file, folder=settings.workspace)


def check_state_dir(patient: Patient) -> Iterator[Finding]:
    """The state folder: writable, and closed to others."""
    folder = patient.settings.state_dir
    if not os.path.lexists(folder):
        return  # the key check tells what is missing
    shown = patient.shown(folder)
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-"):
            pass
    except OSError as error:
        yield found("state_dir_unwritable", folder=shown, reason=error.strerror or error)
        return
    mode = folder.stat().st_mode & 0o777
    if mode & 0o077:
        yield found("state_dir_open", folder=shown, mode=f"{mode:04o}")


def _weak(secret: str) -> bool:
    return len(secret) < SHORTEST or len(set(secret)) < _FEWEST_LETTERS


def _told(fault: InvalidDocument) -> str:
    """The fault with its place; the mend follows in a line of its own."""
    line = f":{fault.line}" if fault.line is not None else ""
    return f"{fault.file}{line}: {fault.message}"

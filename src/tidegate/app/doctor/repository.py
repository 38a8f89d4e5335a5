"""Checks of the prompts' Git repository, and of the prompt files that are committed in it."""

import re
from collections.abc import Iterator
from pathlib import Path

from tidegate.adapters.git.repository import open_repository
from tidegate.adapters.git.state import look_at
from tidegate.app.doctor.faults import Finding, found
from tidegate.app.doctor.patient import Patient
from tidegate.control.policies.model import PromptSource
from tidegate.control.prompts.codes import is_error
from tidegate.control.prompts.library import read_library
from tidegate.control.prompts.ports import PROMPTS_ROOT
from tidegate.kernel.errors import InvalidDocument, TidegateError

__all__ = ["check_prompts", "check_repository"]

SHOWN = 3


def check_repository(patient: Patient) -> Iterator[Finding]:
    """A repository with commits, nothing forgotten, and the remote that the file names. A URL is not visited."""
    source = _source(patient)
    folder = _folder(patient, source) if source is not None else None
    if source is None or folder is None:
        return
    shown = patient.shown(folder) if folder != patient.settings.workspace else "the workspace"
    state = look_at(folder, source.branch, under=(f"{PROMPTS_ROOT}/",))
    if state.kind == "missing":
        yield found("repository_missing", folder=shown)
        return
    if state.kind == "broken":
        yield found("repository_broken", folder=shown, reason=state.reason.rstrip("."), path=folder)
        return
    if state.kind == "empty":
        yield found("repository_empty", folder=shown, branch=source.branch)
    if state.dirty:
        some = ", ".join(state.dirty[:SHOWN]) + (", …" if len(state.dirty) > SHOWN else "")
        yield found("repository_dirty", count=len(state.dirty), files=some)
    if source.remote is not None and source.remote not in state.remotes:
        yield found("remote_missing", remote=source.remote)


def check_prompts(patient: Patient) -> Iterator[Finding]:
    """Every fault of the prompt files in the newest commit: they cannot be released."""
    source = _source(patient)
    folder = _folder(patient, source) if source is not None else None
    if source is None or folder is None or look_at(folder, source.branch).kind != "ready":
        return  # check_repository tells
    try:
        for fault in _faults(patient, source):
            place = f"{fault.file}:{fault.line}" if fault.line is not None else fault.file
            yield found("prompt_broken", fault=f"{place}: {fault.message}", mend=fault.mend)
    except TidegateError as error:
        yield found("prompt_broken", fault=error.message, mend=error.mend)


def _faults(patient: Patient, source: PromptSource) -> Iterator[InvalidDocument]:
    repository = open_repository(source, patient.settings)
    commit = repository.head()
    if commit is None:
        return
    for fault in read_library(repository.files(commit.sha)).faults:
        if is_error(fault.code):
            yield fault


def _source(patient: Patient) -> PromptSource | None:
    """Where prompts come from; None for a faulty file, and for a bare workspace."""
    return patient.config.prompts if patient.config is not None and patient.has_prompts else None


def _folder(patient: Patient, source: PromptSource) -> Path | None:
    """The repository's folder; None for a URL."""
    if "://" in source.repository or re.match(r"[\w.-]+@[\w.-]+:", source.repository):
        return None
    return (patient.settings.workspace / source.repository).resolve()

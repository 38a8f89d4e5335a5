"""One file of prompts/, read: from bytes to a Source, or everything that is wrong with its text and shape."""

from typing import NamedTuple

from tidegate.control.prompts.ports import PROMPTS_ROOT, TreeFile
from tidegate.control.prompts.shape import PromptFile, VersionId, path_of, place_in
from tidegate.kernel.documents import Document, check_yaml, decode_text
from tidegate.kernel.errors import InvalidDocument
from tidegate.kernel.names import SEMVER_PATTERN
from tidegate.kernel.shapes import convert_document

__all__ = ["Source", "is_prompt_file", "read_source"]


class Source(NamedTuple):
    """A file that has the prompt file's shape. `place` is the version that its path stands for."""

    path: str
    place: VersionId
    document: Document
    file: PromptFile


def is_prompt_file(entry: TreeFile) -> bool:
    """Whether a file is meant to be a prompt's version: YAML under prompts/. Others are left alone, links are not."""
    return entry.path.startswith(f"{PROMPTS_ROOT}/") and (entry.link or entry.path.endswith((".yaml", ".yml")))


def read_source(entry: TreeFile) -> tuple[Source | None, tuple[InvalidDocument, ...]]:
    """Return the Source and its faults so far; None where the file cannot be read as a prompt file at all."""
    if entry.link:
        mend = "Put the text itself there."
        return None, (_fault(entry, "This is a symbolic link, which is not followed.", mend, "file_link"),)
    place = place_in(entry.path)
    if place is None:
        mend = f"Move it to {path_of('NAME', 'MAJOR.MINOR.PATCH')}."
        return None, (_fault(entry, "This is not where a prompt's version stands.", mend, "file_name"),)
    if entry.data is None:
        mend = "Pass long texts as variables."
        return None, (_fault(entry, f"The file has {entry.size // 1024} KiB.", mend, "yaml_too_large"),)
    try:
        document, faults = check_yaml(decode_text(entry.data, entry.path), entry.path)
    except InvalidDocument as error:
        return None, (error,)
    if document is None:
        return None, faults
    file, shape = convert_document(document, PromptFile)
    faults += tuple(_worded(document, fault) for fault in shape)
    if file is None:
        return None, faults
    return Source(entry.path, place, document, file), (*faults, *_misplaced(document, file, place))


def _misplaced(document: Document, file: PromptFile, place: VersionId) -> tuple[InvalidDocument, ...]:
    faults: list[InvalidDocument] = []
    for field, says, stands in (("name", file.name, place[0]), ("version", file.version, place[1])):
        if says != stands:
            message = f"`{field}` is {says}, and the file stands at {document.file}."
            mend = f"Write `{field}: {stands}`, or move the file to {path_of(file.name, file.version)}."
            faults.append(document.fault((field,), message, mend=mend, code=f"{field}_mismatch"))
    return tuple(faults)


def _worded(document: Document, fault: InvalidDocument) -> InvalidDocument:
    """A version that YAML took for a number gets the mend that ends in a version."""
    written = document.written(("version",))
    value = document.value.get("version") if isinstance(document.value, dict) else None
    if fault.message.startswith("`version`") and isinstance(value, int | float):
        parts = [part or "0" for part in written.split(".")]
        whole = ".".join([*parts, "0", "0"][:3])
        fault.mend = f"`{written}` is a number to YAML; a version has three parts: {whole}."
    elif fault.message.startswith("`version`") and fault.code == "wrong_value":
        fault.mend = f"Write MAJOR.MINOR.PATCH, for example 1.2.0 (the rule is {SEMVER_PATTERN})."
    elif fault.message.startswith("`name`") and fault.code == "wrong_value":
        fault.mend = "Use 1 to 64 of a-z, 0-9, '.', '_', '-', beginning and ending with a letter or digit."
    return fault


def _fault(entry: TreeFile, message: str, mend: str, code: str) -> InvalidDocument:
    return InvalidDocument(message, file=entry.path, line=1, column=1, mend=mend, code=code)

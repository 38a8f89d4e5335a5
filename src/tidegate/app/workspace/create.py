"""Write a workspace: nothing is overwritten unasked, and the same call again finds nothing to do."""

import os
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from string import Template

import msgspec

from tidegate.adapters.git.create import NewCommit, init_repository
from tidegate.adapters.git.state import is_repository
from tidegate.app.config import SCHEMA_NAME, check_file, schema_text
from tidegate.app.workspace.keys import ensure_keys, ensure_state_dir
from tidegate.app.workspace.options import InitOptions, ModelChoice, choose_model, config_values
from tidegate.kernel.documents import check_yaml
from tidegate.kernel.errors import Invalid
from tidegate.settings import CONFIG_NAME, Settings

__all__ = ["Created", "create_workspace"]

FIRST = "prompts/support-answer/v1.0.0.yaml"
SECOND = "prompts/support-answer/v1.1.0.yaml"
DATASET = "datasets/support-answer.jsonl"
IGNORE = ".gitignore"
README = "README.md"


class Created(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, by file. A `replaced` file has its old text beside it, under the name that is given."""

    folder: str
    written: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    replaced: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    commits: tuple[str, ...] = ()


def create_workspace(folder: Path, options: InitOptions, environ: Mapping[str, str]) -> Created:
    """Write or complete the workspace in `folder`; raises Invalid for options that make no tidegate.yaml.

    A folder that is a workspace already gets only what is private to a machine (keys, state folder): its
    samples may have been deleted on purpose. With `force` every file is written anew and the old text kept
    beside it. The key file is completed, never replaced.
    """
    try:
        return _create(folder.resolve(), options, environ)
    except OSError as error:
        raise Invalid(
            f"{folder} cannot be written: {error.strerror or error}.",
            mend="Choose another folder, or mend its owner and mode.",
            code="folder_unwritable",
        ) from error


def _create(folder: Path, options: InitOptions, environ: Mapping[str, str]) -> Created:
    if folder.exists() and not folder.is_dir():
        raise Invalid(f"{folder} is a file.", mend="Name a folder.")
    old = (folder / CONFIG_NAME).is_file()
    notes: list[str] = []
    wanted = {IGNORE: _template("gitignore")}
    if not old or options.force:
        choice = choose_model(options, environ.get(options.api_key_env or "") or None)
        notes += [choice.note] if choice.note else []
        wanted |= _texts(choice, bare=options.bare)
    folder.mkdir(parents=True, exist_ok=True)
    written, kept, replaced = _write_all(folder, wanted, force=options.force)
    settings = Settings(workspace=folder)
    made, also = _private(settings)
    commits = _commit(folder, samples=FIRST in wanted, notes=notes)
    return Created(
        folder=str(folder),
        written=(*written, *made),
        kept=(*kept, *(() if CONFIG_NAME in wanted else (CONFIG_NAME,))),
        replaced=replaced,
        notes=(*notes, *also),
        commits=commits,
    )


def _texts(choice: ModelChoice, *, bare: bool) -> Iterator[tuple[str, str]]:
    """The files of a new workspace; tidegate.yaml comes last, for it is what makes the folder one."""
    prompts = "" if bare else _template("prompts_block.yaml")
    config = Template(_template(CONFIG_NAME)).substitute(config_values(choice), prompts_block=prompts)
    _, faults = check_file(config, CONFIG_NAME)
    if faults:
        raise Invalid(faults[0].message, mend=faults[0].mend, code=faults[0].code)
    if not bare:
        for name in (README, FIRST, SECOND, DATASET):
            yield name, _template(name)
    yield CONFIG_NAME, config


def _template(name: str) -> str:
    return files("tidegate.app.workspace").joinpath("files", name).read_text(encoding="utf-8")


def _write_all(folder: Path, wanted: Mapping[str, str], *, force: bool) -> tuple[list[str], list[str], dict[str, str]]:
    written: list[str] = []
    kept: list[str] = []
    replaced: dict[str, str] = {}
    for name, text in wanted.items():
        file = folder / name
        if not file.exists():
            _write(file, text)
            written.append(name)
        elif file.read_text(encoding="utf-8", errors="replace") == text:
            kept.append(name)
        elif name == IGNORE:
            (written if _ignore_state(file) else kept).append(name)
        elif force:
            aside = _aside(file)
            file.rename(aside)
            _write(file, text)
            replaced[name] = aside.relative_to(folder).as_posix()
        else:
            kept.append(name)
    return written, kept, replaced


def _write(file: Path, text: str) -> None:
    """Write in one step: a file that is there is whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.new")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, file)


def _aside(file: Path) -> Path:
    """A free name for the old text: NAME.old, NAME.old2; not ending in .yaml, so it is no version."""
    number = 1
    while True:
        aside = file.with_name(f"{file.name}.old{number if number > 1 else ''}")
        if not aside.exists():
            return aside
        number += 1


def _ignore_state(file: Path) -> bool:
    """Add the private folder to a .gitignore that lacks it; return whether it did."""
    text = file.read_text(encoding="utf-8", errors="surrogateescape")
    if any(line.strip().strip("/") == ".tidegate" for line in text.splitlines()):
        return False
    with file.open("a", encoding="utf-8") as stream:
        stream.write(("" if text.endswith("\n") or not text else "\n") + _template("gitignore"))
    return True


def _private(settings: Settings) -> tuple[list[str], list[str]]:
    """Complete what is private to this machine: (files made, notes)."""
    made, notes = [], []
    if ensure_state_dir(settings):
        made.append(f"{settings.state_dir.name}/")
    key_file = settings.key_file.relative_to(settings.workspace).as_posix()
    was_there = settings.key_file.exists()
    done = ensure_keys(settings)
    if done and was_there:
        notes.append(f"{key_file}: {', '.join(done)}.")
    elif done:
        made.append(key_file)
    schema = settings.state_dir / SCHEMA_NAME
    if not schema.is_file() or schema.read_text(encoding="utf-8") != schema_text():
        _write(schema, schema_text())
        made.append(schema.relative_to(settings.workspace).as_posix())
    return made, notes


def _commit(folder: Path, *, samples: bool, notes: list[str]) -> tuple[str, ...]:
    """Make the repository that the file asks for: samples with a commit for each version of the prompt, else
    one commit of what is there. An existing repository is left to its owner."""
    if not _own_repository(folder):
        return ()
    if is_repository(folder):
        if samples:
            notes.append("This folder is a Git repository already: commit the new files there.")
        return ()
    if not samples:
        return init_repository(folder, (NewCommit("Begin the workspace", ()),))
    first = (IGNORE, README, CONFIG_NAME, DATASET, FIRST)
    return init_repository(
        folder,
        (
            NewCommit("Begin the workspace with support-answer 1.0.0", first),
            NewCommit("Add support-answer 1.1.0: an example and a greeting", (SECOND,)),
        ),
    )


def _own_repository(folder: Path) -> bool:
    """Whether tidegate.yaml says that the prompts are in the folder itself. A bare workspace says nothing."""
    text = (folder / CONFIG_NAME).read_text(encoding="utf-8", errors="replace")
    document, _ = check_yaml(text, CONFIG_NAME)
    block = document.value.get("prompts") if document and isinstance(document.value, dict) else None
    return isinstance(block, dict) and block.get("repository", ".") in (".", "./")

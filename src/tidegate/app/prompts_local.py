"""The verbs of prompts that need no server: they work on the files of a workspace, committed or not."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from tidegate.adapters.git.repository import GitRepository
from tidegate.app.prompt_files.answers import LintReport, LocalVersion, Past, Shown
from tidegate.app.prompt_files.drafts import FIRST, Bump, Kind, bumped, first_text, next_text
from tidegate.app.prompt_files.tree import files_in
from tidegate.app.prompt_files.workspace import root_and_models
from tidegate.control.prompts.codes import is_error
from tidegate.control.prompts.diff import PromptDiff, diff_versions
from tidegate.control.prompts.files import is_prompt_file
from tidegate.control.prompts.library import Library, read_library
from tidegate.control.prompts.lint import Surroundings
from tidegate.control.prompts.model import faults_of
from tidegate.control.prompts.ports import PROMPTS_ROOT
from tidegate.control.prompts.published import RELEASE_TAGS, hashes_of_tags, seal
from tidegate.control.prompts.shape import path_of, place_in, prompt_schema
from tidegate.kernel.documents import decode_text
from tidegate.kernel.errors import Conflict, InvalidDocument, NotFound
from tidegate.kernel.names import check_name, semver_key
from tidegate.live.snapshot import PromptVersion
from tidegate.templates.compile import Rendered, compile_prompt

__all__ = ["LintReport", "LocalPrompts", "PromptDiff", "Rendered", "Shown", "open_prompts", "prompt_schema"]

HISTORY_LIMIT = 200


def open_prompts(workspace: Path | None, start: Path) -> "LocalPrompts":
    """The prompts of a workspace, else of the nearest folder upwards from `start`; raises NotFound for remote ones."""
    return LocalPrompts(*root_and_models(workspace, start))


class LocalPrompts:
    """The prompts below one folder; `models` are the names that a prompt may ask for, None when they are unknown."""

    def __init__(self, root: Path, models: frozenset[str] | None) -> None:
        self.root = root
        self._models = models
        self.repository = GitRepository(str(root), branch=None)

    def lint(self, paths: Sequence[Path] = ()) -> LintReport:
        """Check the files at `paths` (files or folders), or all; raises NotFound where there is nothing to check."""
        library, names = self._library()
        checked = set(names) if not paths else {name for path in paths for name in self._below(path, names)}
        faults = faults_of(fault for fault in library.faults if fault.file in checked)
        errors = sum(1 for fault in faults if fault.severity == "error")
        return LintReport(
            root=str(self.root), files=len(checked), errors=errors, warnings=len(faults) - errors, faults=faults
        )

    def new(self, name: str, *, kind: Kind = "chat", source: str | None = None, bump: Bump | None = None) -> Path:
        """Write the first version of a prompt, or with `bump` the next one, copied from `source` or the newest.

        Raises Conflict when the version is there already, or when a prompt that has versions gets no `bump`.
        """
        check_name("prompt", name)
        there = [version for known, version in self._places() if known == name]
        if not there:
            if source or bump:
                known = sorted({known for known, _ in self._places()})
                raise NotFound("prompt", name, known=known, mend=f"Begin it with `tidegate prompt new {name}`.")
            model = min(self._models) if self._models else "chat"
            return self._write(path_of(name, FIRST), first_text(name, kind, model))
        base = source or there[-1]
        if base not in there:
            raise NotFound("prompt version", f"{name}@{base}", known=[f"{name}@{one}" for one in there])
        if bump is None:
            mend = "Add --bump patch (wording), minor (more may be passed) or major (callers must change)."
            raise Conflict(f"{name} is there already; its newest version is {there[-1]}.", mend=mend)
        version = bumped(base, bump)
        path = path_of(name, base)
        return self._write(path_of(name, version), next_text(self._text(path), path, version))

    def versions(self) -> tuple[LocalVersion, ...]:
        """Every version on disk, broken ones too, by name and newest first."""
        library, _ = self._library()
        broken = {fault.file for fault in library.faults if is_error(fault.code)}
        changed = set(self.repository.dirty()) if self.in_git() else set()
        found: list[LocalVersion] = []
        for name, version in sorted(self._places(), key=_newest_first):
            file = library.files.get((name, version))
            path = path_of(name, version)
            state = "broken" if path in broken or file is None else "changed" if path in changed else "ok"
            found.append(
                LocalVersion(
                    name=name,
                    version=version,
                    kind=file.kind if file else None,
                    model=file.model.model_id if file and file.model else None,
                    description=file.description if file else "",
                    state=state,
                )
            )
        return tuple(found)

    def show(self, name: str, version: str | None = None) -> Shown:
        """A version, or the newest good one. Raises NotFound, or InvalidDocument when its file has errors."""
        prompt = self._find(name, version)
        path = path_of(name, prompt.version)
        return Shown(prompt=prompt, path=path, text=self._text(path))

    def diff(self, name: str, a: str, b: str) -> PromptDiff:
        """What changed from version `a` to version `b`. Raises as `show`."""
        return diff_versions(self._find(name, a), self._find(name, b))

    def render(self, name: str, version: str | None, variables: Mapping[str, object]) -> Rendered:
        """Fill a version, or the newest good one. Raises as `show`, and InvalidVariables."""
        return compile_prompt(self._find(name, version)).render(variables)

    def history(self, name: str) -> tuple[Past, ...]:
        """The commits that changed the prompt, newest first, with the release tags on them. Raises NotFound."""
        commits = self.repository.log(f"{PROMPTS_ROOT}/{name}", HISTORY_LIMIT)
        if not commits:
            known = sorted({known for known, _ in self._places()})
            raise NotFound("prompt", name, known=known, mend="A history begins with the first commit.")
        tags: dict[str, list[str]] = {}
        for tag in self.repository.tags(RELEASE_TAGS):
            if tag.name.split("/")[2:3] == [name]:
                tags.setdefault(tag.sha, []).append(tag.name)
        return tuple(Past(commit=commit, tags=tuple(tags.get(commit.sha, ()))) for commit in commits)

    def library(self) -> Library:
        """All files as they are on disk, read together and held against the release tags."""
        return self._library()[0]

    def library_at(self, ref: str) -> Library:
        """All files as they were at a commit, tag or branch. Raises NotFound, Unavailable."""
        return read_library(self.repository.files(self.repository.resolve(ref).sha))

    def _library(self) -> tuple[Library, list[str]]:
        """The files as they are on disk, held against the release tags, and the paths of all prompt files."""
        entries = files_in(self.root)
        around = Surroundings(exists=lambda path: (self.root / path).is_file(), models=self._models)
        library = read_library(entries, around)
        released = hashes_of_tags(self.repository, library.hashes) if self.in_git() else {}
        return seal(library, released), [entry.path for entry in entries if is_prompt_file(entry)]

    def _find(self, name: str, version: str | None) -> PromptVersion:
        library, _ = self._library()
        good = library.versions.get(name, {})
        if version is None and good:
            return good[max(good, key=semver_key)]
        if version in good:
            return good[version]
        there = [f"{known}@{one}" for known, one in self._places() if known == name]
        if not there:
            raise NotFound("prompt", name, known=sorted(library.versions))
        wanted = f"{name}@{version}" if version else there[-1]
        path = path_of(*wanted.split("@"))
        fault = next((fault for fault in library.faults if fault.file == path and is_error(fault.code)), None)
        if fault is not None:
            raise fault
        if wanted in there:
            message = f"{wanted} is a fragment: text that prompts include."
            raise InvalidDocument(message, file=path, mend="Look at a prompt that includes it.", code="fragment")
        raise NotFound("prompt version", wanted, known=there)

    def _places(self) -> list[tuple[str, str]]:
        """The name and version of every file on disk, oldest version first."""
        found = (place_in(entry.path) for entry in files_in(self.root))
        return sorted((place for place in found if place), key=lambda place: (place[0], semver_key(place[1])))

    def _below(self, path: Path, names: Sequence[str]) -> list[str]:
        """The prompt files at a path of the caller's, or below it. Links above it are followed, it itself is not."""
        whole = Path(os.path.normpath(path.parent.resolve() / path.name))
        found = [name for name in names if (self.root / name).is_relative_to(whole)]
        if not found:
            mend = "Prompts stand at prompts/NAME/vMAJOR.MINOR.PATCH.yaml."
            raise NotFound("prompt file", str(path), known=names, mend=mend)
        return found

    def _text(self, path: str) -> str:
        return decode_text((self.root / path).read_bytes(), path)

    def in_git(self) -> bool:
        """Whether the folder is in a Git repository."""
        try:
            self.repository.head()
        except NotFound:
            return False
        return True

    def _write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with file.open("x", encoding="utf-8", newline="\n") as out:
                out.write(text)
        except FileExistsError as error:
            raise Conflict(f"{path} is there already.", mend="Bump another part, or edit that file.") from error
        return file


def _newest_first(place: tuple[str, str]) -> tuple[str, list[int]]:
    return place[0], [-number for number in semver_key(place[1])]

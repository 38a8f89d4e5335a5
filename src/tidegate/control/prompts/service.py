"""The verbs of prompts: what Git holds, what is registered, how versions differ and what they render to."""

import asyncio
from collections.abc import Iterable, Mapping

from tidegate.control.identity.model import Actor
from tidegate.control.prompts import store
from tidegate.control.prompts.codes import is_error
from tidegate.control.prompts.diff import PromptDiff, diff_versions
from tidegate.control.prompts.library import Library, read_library
from tidegate.control.prompts.lint import Surroundings
from tidegate.control.prompts.model import (
    Listed,
    ListedVersion,
    Listing,
    PromptHistory,
    Registered,
    Registration,
    Scan,
    faults_of,
)
from tidegate.control.prompts.ports import PROMPTS_ROOT, Commit, PromptRepository
from tidegate.control.prompts.published import hashes_of_tags, seal
from tidegate.control.prompts.shape import path_of
from tidegate.jobs.database import Database, Tx
from tidegate.kernel.errors import Conflict, NotFound, Unavailable
from tidegate.kernel.names import check_name, semver_key
from tidegate.live.snapshot import PromptVersion
from tidegate.templates.compile import Rendered, compile_prompt

__all__ = ["Prompts"]

HISTORY_LIMIT = 200


class Prompts:
    """Prompts from one repository. Only what is committed counts; a version that was registered never changes."""

    def __init__(self, db: Database, repository: PromptRepository) -> None:
        self._db = db
        self._repository = repository
        self._read: tuple[str, Library] | None = None
        self._reading = asyncio.Lock()

    async def scan(self) -> Scan:
        """Read the newest commit: the good versions, and what is wrong with other files. Raises Unavailable."""
        async with self._db.read() as tx:
            kept = await store.registrations(tx)
        commit, library = await self._library(kept)
        dirty = await asyncio.to_thread(self._repository.dirty)
        return Scan(commit=commit, versions=library.versions, faults=library.faults, dirty=dirty)

    async def register(self, tx: Tx, actor: Actor, name: str, version: str) -> Registered:
        """Keep a version for good, from the newest commit; within the caller's transaction.

        One that is kept already stays what it was, also when its file is gone. Raises Conflict when its file says
        something else now, InvalidDocument when the file has errors, NotFound when there is none.
        """
        check_name("prompt", name)
        semver_key(version)
        kept = await store.find(tx, name, version)
        if kept is not None:
            return await self._kept(*kept)
        commit, library = await self._library(())
        found = library.versions.get(name, {}).get(version)
        if found is None or commit is None:
            raise await self._missing(library, commit, name, version)
        registration = Registration(
            name=name,
            version=version,
            content_hash=found.content_hash,
            commit_sha=commit.sha,
            registered_at_ms=await self._db.now_ms(tx),
            registered_by=actor.name,
        )
        await store.add(tx, registration, found)
        return Registered(version=found, commit=commit.sha, new=True)

    async def get(self, name: str, version: str) -> PromptVersion:
        """A version: as it is kept, else as the newest commit has it. Raises NotFound, InvalidDocument."""
        semver_key(version)
        async with self._db.read() as tx:
            kept = await store.find(tx, name, version)
            registrations = await store.registrations(tx, name)
        if kept is not None:
            return kept[1]
        commit, library = await self._library(registrations)
        found = library.versions.get(name, {}).get(version)
        if found is None:
            raise await self._missing(library, commit, name, version, registrations)
        return found

    async def list(self) -> Listing:
        """Every prompt with its versions, in Git or kept, newest first."""
        async with self._db.read() as tx:
            kept = await store.registrations(tx)
            models = {place: version.model for place, version in (await store.load(tx, _places(kept))).items()}
        commit, library = await self._library(kept)
        dirty = await asyncio.to_thread(self._repository.dirty)
        names = sorted({*library.versions, *(registration.name for registration in kept)})
        prompts = tuple(_listed(name, library, kept, models) for name in names)
        return Listing(commit=commit, prompts=prompts, faults=faults_of(library.faults), dirty=dirty)

    async def history(self, name: str) -> PromptHistory:
        """The commits that changed the prompt, newest first, and its registrations. Raises NotFound."""
        check_name("prompt", name)
        async with self._db.read() as tx:
            kept = await store.registrations(tx, name)
        commits = await asyncio.to_thread(self._repository.log, f"{PROMPTS_ROOT}/{name}", HISTORY_LIMIT)
        if not commits and not kept:
            _, library = await self._library(kept)
            raise NotFound("prompt", name, known=tuple(library.versions))
        return PromptHistory(name=name, commits=tuple(commits), registrations=tuple(kept))

    async def diff(self, name: str, a: str, b: str) -> PromptDiff:
        """What changed from version `a` to version `b`. Raises NotFound."""
        return diff_versions(await self.get(name, a), await self.get(name, b))

    async def render(self, name: str, version: str, variables: Mapping[str, object]) -> Rendered:
        """Fill a version with variables. Raises NotFound, InvalidVariables."""
        return compile_prompt(await self.get(name, version)).render(variables)

    async def _kept(self, registration: Registration, content: PromptVersion) -> Registered:
        """A kept version again; where the repository is away, what is kept is enough."""
        try:
            _, library = await self._library(())
        except (Unavailable, NotFound):
            library = read_library(())
        now = library.hashes.get((registration.name, registration.version), registration.content_hash)
        if now != registration.content_hash:
            raise _edited(registration)
        return Registered(version=content, commit=registration.commit_sha, new=False)

    async def _library(self, kept: Iterable[Registration]) -> tuple[Commit | None, Library]:
        """The newest commit and its files, read once for a commit, held against what was released."""
        async with self._reading:
            commit = await asyncio.to_thread(self._repository.head)
            if commit is None:
                return None, read_library(())
            if self._read is None or self._read[0] != commit.sha:
                self._read = (commit.sha, await asyncio.to_thread(self._files_at, commit.sha))
            library = self._read[1]
        released = await asyncio.to_thread(hashes_of_tags, self._repository, library.hashes)
        released |= {(one.name, one.version): one.content_hash for one in kept}
        return commit, seal(library, released)

    def _files_at(self, sha: str) -> Library:
        around = Surroundings(exists=lambda path: self._repository.exists(sha, path))
        return read_library(self._repository.files(sha), around)

    async def _missing(
        self,
        library: Library,
        commit: Commit | None,
        name: str,
        version: str,
        kept: Iterable[Registration] = (),
    ) -> Exception:
        """Why there is no such version: its file has errors, is not committed, or is not there at all."""
        path = path_of(name, version)
        fault = next((fault for fault in library.faults if fault.file == path and is_error(fault.code)), None)
        if fault is not None:
            return fault
        mend = f"Write {path} and commit it."
        if path in await asyncio.to_thread(self._repository.dirty):
            mend = f"{path} is not committed: commit it."
        elif commit is None:
            mend = "The repository has no commit yet: commit the prompts."
        versions = sorted({*library.versions.get(name, {}), *(one.version for one in kept)}, key=semver_key)
        if not versions:
            known = tuple(library.versions)
            return NotFound("prompt", name, known=known, mend=mend, param="model")
        known = tuple(f"{name}@{number}" for number in versions)
        return NotFound("prompt version", f"{name}@{version}", known=known, mend=mend)


def _edited(kept: Registration) -> Conflict:
    return Conflict(
        f"{kept.name} {kept.version} was released at commit {kept.commit_sha[:10]}, and its file has changed since.",
        mend=f"Restore it, and put the change into a new version: `tidegate prompt new {kept.name} --bump patch`.",
        code="published_version_edited",
    )


def _places(kept: Iterable[Registration]) -> set[tuple[str, str]]:
    return {(one.name, one.version) for one in kept}


def _listed(name: str, library: Library, kept: Iterable[Registration], models: Mapping[tuple[str, str], str]) -> Listed:
    here = library.versions.get(name, {})
    registered = {one.version: one for one in kept if one.name == name}
    newest_first = sorted({*here, *registered}, key=semver_key, reverse=True)
    described = (library.files[name, number].description for number in newest_first if (name, number) in library.files)
    versions = tuple(
        ListedVersion(
            version=number,
            content_hash=registered[number].content_hash if number in registered else here[number].content_hash,
            model=models[name, number] if number in registered else here[number].model,
            in_head=number in here,
            registered_at_ms=registered[number].registered_at_ms if number in registered else None,
        )
        for number in newest_first
    )
    return Listed(name=name, description=next(described, ""), versions=versions)

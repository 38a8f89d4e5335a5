"""All prompt files of one state of the repository, read together: the good versions, and what is wrong elsewhere."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tidegate.control.prompts.codes import is_error
from tidegate.control.prompts.files import Source, is_prompt_file, read_source
from tidegate.control.prompts.includes import Fragment, check_listing, include_faults
from tidegate.control.prompts.lint import Surroundings, check_file
from tidegate.control.prompts.parameters import check_uses
from tidegate.control.prompts.ports import TreeFile
from tidegate.control.prompts.shape import PromptFile, VersionId, content_hash, prompt_version
from tidegate.control.prompts.texts import Use, check_texts
from tidegate.control.prompts.weave import weave
from tidegate.kernel.errors import Invalid, InvalidDocument
from tidegate.live.snapshot import PromptVersion
from tidegate.templates.compile import compile_prompt

__all__ = ["NOWHERE", "Library", "read_library"]

MAX_DEPTH = 8
LONGEST_CHAIN = 40
NOWHERE = Surroundings()


class Library(NamedTuple):
    """`versions[name][version]` can be served, `fragments` only included; `files` and `hashes` have every file that
    could be read, good or not; `woven` its texts, where all of its fragments are to be had. `faults` holds errors and
    warnings, sorted by file and place.
    """

    versions: dict[str, dict[str, PromptVersion]]
    fragments: dict[str, tuple[str, ...]]
    files: dict[VersionId, PromptFile]
    hashes: dict[VersionId, str]
    faults: tuple[InvalidDocument, ...]
    woven: dict[VersionId, tuple[str, ...]]


class _Reading(NamedTuple):
    """One file, judged. Without a hash its includes could not all be found; without a version it cannot be served."""

    fragment: Fragment
    digest: str | None
    version: PromptVersion | None
    faults: tuple[InvalidDocument, ...]
    texts: tuple[str, ...]


def read_library(entries: Iterable[TreeFile], around: Surroundings = NOWHERE) -> Library:
    """Read every prompt file. A broken one costs itself and what includes it, no other."""
    reader = _Reader(around)
    for entry in entries:
        if is_prompt_file(entry):
            reader.add(*read_source(entry))
    return reader.library()


class _Reader:
    """Judges each file once, fragments before what includes them."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._sources: dict[VersionId, Source] = {}
        self._found: dict[VersionId, tuple[InvalidDocument, ...]] = {}
        self._known: dict[str, list[str]] = {}
        self._readings: dict[VersionId, _Reading] = {}
        self._unreadable: list[InvalidDocument] = []

    def add(self, source: Source | None, faults: tuple[InvalidDocument, ...]) -> None:
        """Take in what became of one file."""
        if source is None:
            self._unreadable += faults
            return
        self._sources[source.place] = source
        self._found[source.place] = faults
        self._known.setdefault(source.place[0], []).append(source.place[1])

    def library(self) -> Library:
        """Judge all, and sum up."""
        versions: dict[str, dict[str, PromptVersion]] = {}
        fragments: dict[str, tuple[str, ...]] = {}
        hashes: dict[VersionId, str] = {}
        woven: dict[VersionId, tuple[str, ...]] = {}
        faults = [*self._unreadable]
        for place in sorted(self._sources):
            reading = self._reading(place, ())
            faults += reading.faults
            if reading.digest is not None:
                hashes[place] = reading.digest
                woven[place] = reading.texts
            if reading.version is not None:
                versions.setdefault(place[0], {})[place[1]] = reading.version
            elif reading.fragment.kind == "fragment" and reading.fragment.text is not None:
                fragments[place[0]] = (*fragments.get(place[0], ()), place[1])
        files = {place: source.file for place, source in self._sources.items()}
        return Library(versions, fragments, files, hashes, tuple(sorted(faults, key=_order)), woven)

    def _reading(self, place: VersionId, chain: tuple[VersionId, ...]) -> _Reading:
        known = self._readings.get(place)
        if known is None:
            known = self._readings[place] = self._judge(self._sources[place], (*chain, place))
        return known

    def _judge(self, source: Source, chain: tuple[VersionId, ...]) -> _Reading:
        uses, faults = check_texts(source)
        fragments, found = self._fragments(source, chain)
        for index, include in enumerate(source.file.includes):
            for name, use in fragments[include.name].uses.items() if include.name in fragments else ():
                uses.setdefault(name, Use(("includes", index), 0, use.guarded))
        digest, texts, trouble = self._woven(source, fragments)
        readable = digest is not None and not faults
        faults = (*self._found[source.place], *faults, *check_file(source, self._around), *found)
        faults += tuple(check_uses(source, uses, complete=readable))
        faults += trouble
        version, trouble = _version(source, texts, digest, faults)
        faults += trouble
        sound = not any(is_error(fault.code) for fault in faults)
        text = texts[0] if sound and texts else None
        depth = 1 + max((fragment.depth for fragment in fragments.values()), default=0)
        fragment = Fragment(source.file.kind, source.file.template_format, text, digest or "", uses, depth)
        return _Reading(fragment, digest, version, faults, texts)

    def _fragments(
        self, source: Source, chain: tuple[VersionId, ...]
    ) -> tuple[dict[str, Fragment], tuple[InvalidDocument, ...]]:
        """The includes that can be woven in, and the faults of all."""
        fragments: dict[str, Fragment] = {}
        faults = [*check_listing(source)]
        for index, include in enumerate(source.file.includes):
            place = (include.name, include.version)
            found = None
            if place in self._sources and place not in chain and len(chain) <= LONGEST_CHAIN:
                found = self._reading(place, chain).fragment
            if place in self._sources and (found is None or found.depth > MAX_DEPTH):
                way = " -> ".join(f"{name} {version}" for name, version in (*chain, place))
                message = f"Includes go in a circle, or deeper than {MAX_DEPTH}: {way}."
                path = ("includes", index)
                faults.append(source.document.fault(path, message, mend="Include less deep.", code="include_cycle"))
                continue
            faults += include_faults(source, index, found, self._known)
            if found is not None and found.kind == "fragment" and found.text is not None:
                fragments[include.name] = found
        return fragments, tuple(faults)

    def _woven(
        self, source: Source, fragments: Mapping[str, Fragment]
    ) -> tuple[str | None, tuple[str, ...], tuple[InvalidDocument, ...]]:
        """The hash and the texts with the fragments in them; neither when a fragment is not to be had."""
        by_name = {name: fragment.text for name, fragment in fragments.items() if fragment.text is not None}
        form = source.file.template_format
        try:
            texts = tuple(weave(text, form, by_name) for _, text in source.file.texts())
        except KeyError:
            return None, (), ()
        except Invalid as error:
            return None, (), (source.document.fault(("includes",), error.message, mend=error.mend, code=error.code),)
        return content_hash(source.file, {name: fragment.digest for name, fragment in fragments.items()}), texts, ()


def _version(
    source: Source, texts: tuple[str, ...], digest: str | None, faults: tuple[InvalidDocument, ...]
) -> tuple[PromptVersion | None, tuple[InvalidDocument, ...]]:
    """The version, when nothing keeps it from being served: last of all it is compiled."""
    if source.file.kind != "prompt" or digest is None or any(is_error(fault.code) for fault in faults):
        return None, ()
    version = prompt_version(source.file, texts, digest)
    try:
        compile_prompt(version)
    except Invalid as error:
        return None, (source.document.fault((), error.message, mend=error.mend, code="template_too_large"),)
    return version, ()


def _order(fault: InvalidDocument) -> tuple[str, int, int]:
    return fault.file, fault.line or 0, fault.column or 0

"""Turns what a profiler wrote into weights by stage, file, library and C function; no process is touched."""

import marshal
import re
import sysconfig
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

LOOP = "(event loop, between callbacks)"
NO_STAGE = "(no file of src/tidegate)"
_FRAME = re.compile(r"^(?P<name>.*) \((?P<file>.+?)(?::\d+)?\)$")
_LOOP_FILES = ("/asyncio/runners.py", "/asyncio/base_events.py", "/uvloop/__init__.py")
_LOOP_NAMES = ("run", "run_forever", "run_until_complete", "run_once")


@dataclass
class Weights:
    """How much of the time stands where.

    stages  the innermost file of src/tidegate on the stack, with all that it called
    files   the file, package or C function that was running
    """

    stages: Counter[str] = field(default_factory=Counter)
    files: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Places:
    """Names files for a reader: ours by their path in the package, the rest by library."""

    package: Path  # the folder of tidegate's sources

    def stage(self, file: str) -> str | None:
        """`gateway/stages/limit.py` for a file of ours, else None."""
        path = Path(file)
        return str(path.relative_to(self.package)) if path.is_relative_to(self.package) else None

    def name(self, file: str) -> str:
        """Ours by path, an installed package by its name, the standard library as `python: asyncio`."""
        own = self.stage(file)
        if own is not None:
            return own
        path = Path(file)
        parts = path.parts
        if "site-packages" in parts:
            return parts[parts.index("site-packages") + 1].split(".")[0]
        if path.is_relative_to(sysconfig.get_path("stdlib")):
            inner = path.relative_to(sysconfig.get_path("stdlib")).parts
            return f"python: {inner[0].removesuffix('.py')}" if inner[0] != "lib-dynload" else _library(path.name)
        return _library(path.name)


def _library(file_name: str) -> str:
    """`libsqlite3` for `libsqlite3.so.0.8.6`."""
    return re.sub(r"(\.cpython-[^.]*)?\.so(\.\d+)*$", "", file_name)


def from_collapsed(lines: Iterable[str], places: Places) -> Weights:
    """Reads `frame;frame;frame count`, outermost first, as py-spy writes it."""
    weights = Weights()
    for line in lines:
        stack, _, count = line.rstrip().rpartition(" ")
        frames = [found for part in stack.split(";") if (found := _FRAME.match(part))]
        inside = _after_loop([(frame["name"], frame["file"]) for frame in frames])
        if not frames:
            continue
        weights.files[places.name(inside[-1]) if inside else LOOP] += int(count)
        stages = [stage for file in inside if (stage := places.stage(file)) is not None]
        weights.stages[stages[-1] if stages else NO_STAGE if inside else LOOP] += int(count)
    return weights


def _after_loop(frames: list[tuple[str, str]]) -> list[str]:
    """The files of the frames that the event loop called; all of them when no loop is on the stack."""
    loop = [
        index
        for index, (name, file) in enumerate(frames)
        if file.endswith(_LOOP_FILES) and name.rsplit(".", 1)[-1].strip("_") in _LOOP_NAMES
    ]
    return [file for _, file in frames[loop[-1] + 1 if loop else 0 :]]


_Label = tuple[str, int, str]
_Timing = tuple[int, int, float, float]


def from_cprofile(path: Path, places: Places) -> Weights:
    """Reads cProfile's file. What is not a file of ours is charged to those that called it directly."""
    stats: dict[_Label, tuple[int, int, float, float, dict[_Label, _Timing]]] = marshal.loads(path.read_bytes())
    weights = Weights()
    for (file, _line, name), (_calls, _total, own_s, _all_s, callers) in stats.items():
        weights.files[_c_function(name) if file == "~" else places.name(file)] += _micro(own_s)
        stage = places.stage(file)
        if stage is not None or not callers:
            weights.stages[stage or NO_STAGE] += _micro(own_s)
            continue
        for (caller_file, _, _), (_, _, share_s, _) in callers.items():
            weights.stages[places.stage(caller_file) or NO_STAGE] += _micro(share_s)
    return weights


def _micro(seconds: float) -> int:
    return round(seconds * 1e6)


def _c_function(name: str) -> str:
    """`C: msgspec.json.decode` for `<built-in method msgspec.json.decode>`, and the like of methods."""
    built_in = re.match(r"<built-in method (\S+)>", name)
    method = re.match(r"<method '(.+)' of '(.+)' objects>", name)
    if built_in is not None:
        return f"C: {built_in[1]}"
    return f"C: {method[2]}.{method[1]}" if method is not None else f"C: {name.strip('<>')}"


@dataclass
class Machine:
    """What the processor ran: by library, and by function in a library."""

    libraries: Counter[str] = field(default_factory=Counter)
    functions: Counter[tuple[str, str]] = field(default_factory=Counter)


_SAMPLE = re.compile(r"^\s*[0-9a-f]+ (?P<symbol>.+?) \((?P<library>[^()]+)\)\s*$")


def from_perf(lines: Iterable[str], places: Places) -> Machine:
    """Reads `address symbol (library)`, one line a sample, as `perf script -F ip,sym,dso` writes it."""
    machine = Machine()
    for line in lines:
        found = _SAMPLE.match(line)
        if found is None:
            continue
        library = found["library"]
        library = "kernel" if library.startswith("[") else places.name(library)
        machine.libraries[library] += 1
        machine.functions[library, found["symbol"]] += 1
    return machine

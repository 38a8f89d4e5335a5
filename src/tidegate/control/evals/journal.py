"""A run on disk: `manifest.json` says what it is, `results.jsonl` has an outcome a line, written as it is known.

A line is in the kernel's hands when `add` returns, so that kill -9 loses none; it is on the disk within a second or at
the end, so that a power cut loses little. A last line that was torn is cut off when the run goes on.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tidegate.control.evals.model import Manifest, Outcome
from tidegate.kernel.errors import Conflict, Invalid, NotFound

__all__ = ["MANIFEST", "RESULTS", "Journal", "is_open", "read_manifest", "read_outcomes"]

MANIFEST = "manifest.json"
RESULTS = "results.jsonl"
SYNC_S = 1.0

_ENCODER = msgspec.json.Encoder()
_OUTCOME = msgspec.json.Decoder(Outcome)
_MANIFEST = msgspec.json.Decoder(Manifest)


class Journal:
    """The writer of one run's folder. One at a time: a second one is refused."""

    def __init__(self, folder: Path) -> None:
        """Open the folder, made if need be; raises Conflict when another process writes to it."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(folder / RESULTS, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._synced_s = time.monotonic()
        if not _locked(self._descriptor):
            os.close(self._descriptor)
            raise Conflict(
                f"The run {folder.name} is under way in another process.", mend="Wait for it.", code="run_under_way"
            )

    def past(self) -> Iterator[Outcome]:
        """What the run knows already. A torn last line is cut off. Raises Invalid for a line that is no outcome."""
        whole = 0
        for outcome, end in _outcomes(self.folder / RESULTS):
            whole = end
            yield outcome
        if os.fstat(self._descriptor).st_size > whole:
            os.ftruncate(self._descriptor, whole)

    def begin(self, manifest: Manifest) -> None:
        """Say what the run is, before its first answer."""
        self._write(manifest)

    def add(self, outcome: Outcome) -> None:
        """Write one outcome; raises OSError when the disk is full."""
        line = _ENCODER.encode(outcome) + b"\n"
        written = os.write(self._descriptor, line)
        while written < len(line):
            written += os.write(self._descriptor, line[written:])
        now_s = time.monotonic()
        if now_s - self._synced_s > SYNC_S:
            os.fsync(self._descriptor)
            self._synced_s = now_s

    def end(self, manifest: Manifest) -> None:
        """Say how the run ended."""
        os.fsync(self._descriptor)
        self._write(manifest)

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self._descriptor)

    def _write(self, manifest: Manifest) -> None:
        draft = self.folder / f"{MANIFEST}.draft"
        with draft.open("wb") as out:
            out.write(msgspec.json.format(_ENCODER.encode(manifest)) + b"\n")
            out.flush()
            os.fsync(out.fileno())
        draft.replace(self.folder / MANIFEST)


def read_manifest(folder: Path) -> Manifest:
    """What a run is; raises NotFound, or Invalid for a file that says it not."""
    try:
        return _MANIFEST.decode((folder / MANIFEST).read_bytes())
    except OSError as error:
        raise NotFound("run", folder.name, mend="See `tidegate eval list`.") from error
    except msgspec.DecodeError as error:
        raise Invalid(
            f"{folder / MANIFEST} cannot be read: {error}.", mend="Run it anew.", code="run_damaged"
        ) from error


def read_outcomes(folder: Path) -> Iterator[Outcome]:
    """The outcomes of a run, also of one that is under way or broke off. Raises NotFound; Invalid for a line that is no
    outcome.
    """
    return (outcome for outcome, _ in _outcomes(folder / RESULTS))


def is_open(folder: Path) -> bool:
    """Whether a process writes to the run now."""
    try:
        descriptor = os.open(folder / RESULTS, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _locked(descriptor)
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _outcomes(file: Path) -> Iterator[tuple[Outcome, int]]:
    """Each outcome with where its line ends. The last line may be torn, then it is left out; no other one may."""
    try:
        stream = file.open("rb")
    except OSError as error:
        raise NotFound("run", file.parent.name, mend="See `tidegate eval list`.") from error
    with stream:
        end = 0
        for number, line in enumerate(stream, 1):
            end += len(line)
            if not line.endswith(b"\n"):
                return
            try:
                outcome = _OUTCOME.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                if not stream.read(1):
                    return
                raise Invalid(
                    f"{file}:{number} is no outcome: {error}.",
                    mend="Take the line out: its answer is found in the cache, or asked for again.",
                    code="run_damaged",
                ) from error
            yield outcome, end

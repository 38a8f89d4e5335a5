"""The shape of a backup: a .tar.gz of JSON lines in bounded parts; a manifest at its end vouches for each part."""

import errno
import gzip
import hashlib
import io
import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import msgspec

from tidegate.kernel.errors import Conflict, Invalid, Unavailable

__all__ = ["FORMAT", "ArchiveWriter", "Manifest", "Part", "TableManifest", "parts", "verified"]

FORMAT = 1
MANIFEST = "manifest.json"
PART_BYTES = 4 * 1024 * 1024
MAX_PART_BYTES = 512 * 1024 * 1024
PART_NAME = re.compile(r"^tables/([a-z][a-z0-9_]*)-([0-9]{6})\.jsonl$")
READ_BYTES = 64 * 1024
DAMAGE = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, msgspec.DecodeError)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A run of one table's rows."""

    file: str
    rows: int
    sha256: str


class TableManifest(msgspec.Struct, frozen=True, kw_only=True):
    """One table: its columns, and its rows in parts."""

    columns: tuple[str, ...]
    rows: int
    parts: tuple[Part, ...]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds. `schema` is the migration step of its tables; `calls` has a shape of its own."""

    format: int
    schema: str
    made_at_ms: int
    made_by: str
    dialect: str
    tables: dict[str, TableManifest]


class ArchiveWriter:
    """Writes beside the target and takes its name only when it is whole, mode 0600: it holds hashes of secrets."""

    def __init__(self, out: Path) -> None:
        if out.exists():
            raise Conflict(f"There is something at {out} already.", mend="Choose another name.", code="backup_exists")
        self._out = out
        self._draft = out.with_name(f"{out.name}.part")
        self._tables: dict[str, TableManifest] = {}
        self._lines = io.BytesIO()
        self._rows = 0
        try:
            self._file = os.fdopen(os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        except OSError as error:
            raise _unwritable(out, error) from error
        self._zip = gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=self._file, mtime=0)
        self._tar = tarfile.open(fileobj=self._zip, mode="w|")  # noqa: SIM115  # closed with the other two

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing behind unless `finish` was reached."""
        for layer in (self._tar, self._zip, self._file):
            with suppress(OSError):  # a full disk was told when it was met
                layer.close()
        self._draft.unlink(missing_ok=True)

    def begin(self, table: str, columns: tuple[str, ...]) -> None:
        """Start a table."""
        self._tables[table] = TableManifest(columns=columns, rows=0, parts=())

    def add(self, table: str, row: dict[str, Any]) -> None:
        """Append a row to the table that was begun last."""
        self._lines.write(msgspec.json.encode(row))
        self._lines.write(b"\n")
        self._rows += 1
        if self._lines.tell() >= PART_BYTES:
            self.end(table)

    def end(self, table: str) -> None:
        """Write what was gathered of the table as a part."""
        if not self._rows:
            return
        blob = self._lines.getvalue()
        have = self._tables[table]
        part = Part(
            file=f"tables/{table}-{len(have.parts) + 1:06d}.jsonl",
            rows=self._rows,
            sha256=hashlib.sha256(blob).hexdigest(),
        )
        self._store(part.file, blob)
        self._tables[table] = TableManifest(columns=have.columns, rows=have.rows + part.rows, parts=(*have.parts, part))
        self._lines = io.BytesIO()
        self._rows = 0

    def finish(self, *, schema: str, made_at_ms: int, made_by: str, dialect: str) -> Manifest:
        """Write the manifest, make sure that all is on the disk, and give the archive its name."""
        manifest = Manifest(
            format=FORMAT,
            schema=schema,
            made_at_ms=made_at_ms,
            made_by=made_by,
            dialect=dialect,
            tables=self._tables,
        )
        self._store(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
        try:
            self._tar.close()
            self._zip.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._draft.replace(self._out)
        except OSError as error:
            raise _unwritable(self._out, error) from error
        return manifest

    def _store(self, name: str, blob: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size = len(blob)
        member.mode = 0o600
        try:
            self._tar.addfile(member, io.BytesIO(blob))
        except OSError as error:
            raise _unwritable(self._out, error) from error


def verified(file: Path) -> Manifest:
    """Read the whole archive and return its manifest; raises Invalid when a byte is not as it was written."""
    found: dict[str, tuple[int, str]] = {}
    manifest: Manifest | None = None
    with _opened(file) as stream:
        try:
            for name, blob in _members(stream, file):
                if name in found or (manifest is not None and name == MANIFEST):
                    raise _damaged(file, f"{name} comes twice")
                if name == MANIFEST:
                    manifest = _manifest(blob, file)
                else:
                    found[name] = (blob.count(b"\n"), hashlib.sha256(blob).hexdigest())
        except DAMAGE as error:
            raise _damaged(file, str(error)) from error
    if manifest is None:
        raise _damaged(file, "it has no manifest, so it was cut off or is something else")
    wanted = {part.file: (part.rows, part.sha256) for table in manifest.tables.values() for part in table.parts}
    wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if wrong:
        raise _damaged(file, f"{wrong[0]} is not what the manifest says")
    return manifest


def parts(file: Path, manifest: Manifest) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield (table, rows) part by part; raises Invalid when the file is no longer what was verified."""
    sums = {part.file: part.sha256 for table in manifest.tables.values() for part in table.parts}
    with _opened(file) as stream:
        try:
            for name, blob in _members(stream, file):
                if name == MANIFEST:
                    continue
                if hashlib.sha256(blob).hexdigest() != sums.get(name):
                    raise _damaged(file, f"{name} changed while it was read")
                table = name.removeprefix("tables/").rpartition("-")[0]
                yield table, [msgspec.json.decode(line) for line in blob.splitlines()]
        except DAMAGE as error:
            raise _damaged(file, str(error)) from error


def _opened(file: Path) -> IO[bytes]:
    try:
        return file.open("rb")
    except OSError as error:
        raise Invalid(
            f"The backup {file} cannot be read: {error.strerror}.", mend="Check the path.", code="backup_unreadable"
        ) from error


def _members(stream: IO[bytes], file: Path) -> Iterator[tuple[str, bytes]]:
    plain = gzip.GzipFile(fileobj=stream)
    with tarfile.open(fileobj=plain, mode="r|") as tar:
        for member in tar:
            if not member.isreg() or not (member.name == MANIFEST or PART_NAME.match(member.name)):
                raise _damaged(file, f"it holds {member.name!r}, which no backup does")
            content = tar.extractfile(member)
            if member.size > MAX_PART_BYTES or content is None:
                raise _damaged(file, f"{member.name} claims {member.size} bytes")
            yield member.name, content.read()
    while plain.read(READ_BYTES):  # to its end, where gzip keeps its checksum
        pass


def _manifest(blob: bytes, file: Path) -> Manifest:
    kind = msgspec.json.decode(blob, type=dict[str, Any]).get("format")
    if isinstance(kind, int) and kind > FORMAT:
        raise Invalid(
            f"The backup {file} has format {kind}; this version reads up to {FORMAT}.",
            mend="Restore it with the version that made it, or a newer one.",
            code="backup_newer",
        )
    return msgspec.json.decode(blob, type=Manifest)


def _unwritable(out: Path, error: OSError) -> Unavailable:
    full = error.errno == errno.ENOSPC
    return Unavailable(
        f"The backup cannot be written to {out}: {error.strerror or error}.",
        mend="Free disk space there, or choose another disk."
        if full
        else "Choose a folder that exists and may be written.",
        code="disk_full" if full else "backup_unwritable",
    )


def _damaged(file: Path, why: str) -> Invalid:
    return Invalid(
        f"The backup {file} is damaged: {why}.", mend="Nothing was changed; use another one.", code="backup_damaged"
    )

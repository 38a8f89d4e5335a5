"""The archive: what was written comes back, and no damaged byte goes unseen."""

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tidegate.app import archive
from tidegate.app.archive import ArchiveWriter, Manifest, parts, verified
from tidegate.kernel.errors import Conflict, Invalid, Unavailable

ROWS = [{"name": f"user-{number}", "age": number} for number in range(10)]


def write(out: Path) -> Manifest:
    with ArchiveWriter(out) as writer:
        writer.begin("users", ("name", "age"))
        for row in ROWS:
            writer.add("users", row)
        writer.end("users")
        writer.begin("empty", ("x",))
        writer.end("empty")
        return writer.finish(schema="0001", made_at_ms=5, made_by="1.0", dialect="sqlite")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write(tmp_path / "backup.tar.gz")
    return tmp_path / "backup.tar.gz"


def rewrite(file: Path, change: Callable[[str, bytes], list[tuple[str, bytes]]]) -> None:
    """Pack the archive anew, as someone would who edits it by hand."""
    with tarfile.open(file) as tar:
        members = [(member.name, (tar.extractfile(member) or io.BytesIO()).read()) for member in tar]
    with tarfile.open(file, "w:gz") as tar:
        for name, blob in (pair for member in members for pair in change(*member)):
            info = tarfile.TarInfo(name)
            info.size = len(blob)
            tar.addfile(info, io.BytesIO(blob))


def code_of(file: Path) -> str:
    with pytest.raises(Invalid) as caught:
        verified(file)
    assert str(file) in caught.value.message
    assert caught.value.mend
    return caught.value.code


def test_rows_come_back_as_they_were(file: Path) -> None:
    manifest = verified(file)
    assert {name: table.rows for name, table in manifest.tables.items()} == {"users": 10, "empty": 0}
    assert list(parts(file, manifest)) == [("users", ROWS)]
    assert manifest.tables["empty"].columns == ("x",)


def test_many_rows_come_in_bounded_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "PART_BYTES", 60)
    manifest = write(tmp_path / "backup.tar.gz")
    assert len(manifest.tables["users"].parts) > 3
    found = list(parts(tmp_path / "backup.tar.gz", verified(tmp_path / "backup.tar.gz")))
    assert [row for _, rows in found for row in rows] == ROWS


def test_the_file_is_private_and_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "backup.tar.gz"
    with ArchiveWriter(out) as writer:
        writer.begin("users", ("name",))
        assert not out.exists()
    assert list(tmp_path.iterdir()) == []
    write(out)
    assert [path.name for path in tmp_path.iterdir()] == ["backup.tar.gz"]
    assert out.stat().st_mode & 0o777 == 0o600


def test_nothing_is_overwritten(file: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(Conflict):
        write(file)
    assert file.read_bytes() == before


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        write(tmp_path / "nowhere" / "backup.tar.gz")
    assert caught.value.code == "backup_unwritable"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "backup.tar.gz"
    (tmp_path / "backup.tar.gz.part").symlink_to("/dev/full")
    with pytest.raises(Unavailable) as caught:
        write(out)
    assert caught.value.code == "disk_full"
    assert list(tmp_path.iterdir()) == []


def test_a_backup_that_is_not_there(tmp_path: Path) -> None:
    assert code_of(tmp_path / "nothing.tar.gz") == "backup_unreadable"


def test_a_file_cut_off_anywhere_is_damaged(file: Path) -> None:
    whole = file.read_bytes()
    for size in range(0, len(whole) - 1, max(1, len(whole) // 60)):
        file.write_bytes(whole[:size])
        assert code_of(file) == "backup_damaged"


def test_a_flipped_bit_is_seen_everywhere_behind_the_header_of_gzip(file: Path) -> None:
    """The header's ten bytes tell time and system, nothing of the content."""
    whole = file.read_bytes()
    for position in range(10, len(whole), max(1, len(whole) // 150)):
        blob = bytearray(whole)
        blob[position] ^= 0x10
        file.write_bytes(blob)
        assert code_of(file) == "backup_damaged"


def test_a_file_that_is_something_else_is_damaged(file: Path) -> None:
    for blob in (b"", b"hello", gzip.compress(b"hello"), b"SQLite format 3\x00" * 99):
        file.write_bytes(blob)
        assert code_of(file) == "backup_damaged"


def test_an_edited_row_is_seen(file: Path) -> None:
    rewrite(file, lambda name, blob: [(name, blob.replace(b"user-3", b"user-4"))])
    assert code_of(file) == "backup_damaged"


def test_a_part_that_is_missing_doubled_or_added_is_seen(file: Path) -> None:
    whole = file.read_bytes()
    rewrite(file, lambda name, blob: [] if name.startswith("tables/") else [(name, blob)])
    assert code_of(file) == "backup_damaged"
    file.write_bytes(whole)
    rewrite(file, lambda name, blob: [(name, blob), ("tables/users-000009.jsonl", b"{}\n")])
    assert code_of(file) == "backup_damaged"
    file.write_bytes(whole)
    rewrite(file, lambda name, blob: [(name, blob), (name, blob)])
    assert code_of(file) == "backup_damaged"


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "tables/Users-000001.jsonl", "notes.txt"])
def test_a_stranger_in_the_archive_is_refused(file: Path, name: str) -> None:
    rewrite(file, lambda known, blob: [(known, blob), (name, b"x")])
    assert code_of(file) == "backup_damaged"


def test_a_link_in_the_archive_is_refused(file: Path) -> None:
    with tarfile.open(file, "w:gz") as tar:
        info = tarfile.TarInfo("manifest.json")
        info.type = tarfile.SYMTYPE
        info.linkname = "/etc/passwd"
        tar.addfile(info)
    assert code_of(file) == "backup_damaged"


def test_a_newer_format_is_told_from_damage(file: Path) -> None:
    def newer(name: str, blob: bytes) -> list[tuple[str, bytes]]:
        if name != "manifest.json":
            return [(name, blob)]
        manifest = msgspec.json.decode(blob)
        return [(name, msgspec.json.encode({"format": 2, "shape": "unheard of", "was": manifest["format"]}))]

    rewrite(file, newer)
    assert code_of(file) == "backup_newer"


def test_a_file_that_changes_after_it_was_verified_is_caught(file: Path) -> None:
    manifest = verified(file)
    rewrite(file, lambda name, blob: [(name, blob.replace(b"user-3", b"user-4"))])
    with pytest.raises(Invalid) as caught:
        list(parts(file, manifest))
    assert caught.value.code == "backup_damaged"

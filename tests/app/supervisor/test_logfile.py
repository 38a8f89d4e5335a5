"""Log files that turn over."""

from pathlib import Path

from tidegate.app.supervisor.logfile import LogFile


def test_a_full_file_turns_over_and_only_some_old_ones_are_kept(tmp_path: Path):
    log = LogFile(tmp_path / "logs" / "gateway.log", max_bytes=100, kept=2)
    for number in range(40):
        log.write(f"line {number:02d} of the log\n".encode())
    log.close()
    names = sorted(file.name for file in (tmp_path / "logs").iterdir())
    assert names == ["gateway.log", "gateway.log.1", "gateway.log.2"]
    assert all(file.stat().st_size <= 100 for file in (tmp_path / "logs").iterdir())
    kept = "".join((tmp_path / "logs" / name).read_text() for name in reversed(names))
    assert kept.splitlines()[-1] == "line 39 of the log"
    numbers = [int(line.split()[1]) for line in kept.splitlines()]
    assert numbers == list(range(numbers[0], 40)), "no line in between is lost"


def test_a_new_process_goes_on_in_the_same_file(tmp_path: Path):
    for word in (b"first\n", b"second\n"):
        log = LogFile(tmp_path / "control.log")
        log.write(word)
        log.close()
    assert (tmp_path / "control.log").read_text() == "first\nsecond\n"


def test_only_the_owner_reads_it(tmp_path: Path):
    log = LogFile(tmp_path / "control.log")
    log.write(b"x\n")
    log.close()
    assert (tmp_path / "control.log").stat().st_mode & 0o777 == 0o600


def test_a_disk_that_cannot_be_written_to_stops_nobody(tmp_path: Path):
    (tmp_path / "logs").write_text("a file where the folder should be")
    log = LogFile(tmp_path / "logs" / "control.log")
    log.write(b"x\n")
    log.close()

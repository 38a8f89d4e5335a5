"""The bell rings when a file is written or replaced, and lets nobody sleep on when it cannot hear."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tidegate.adapters.sqlite import bell as module
from tidegate.adapters.sqlite.bell import Bell


async def _waited_s(bell: Bell) -> float:
    began = time.monotonic()
    await bell.wait()
    return time.monotonic() - began


@pytest.fixture
def file(tmp_path: Path) -> Path:
    written = tmp_path / "control.db-wal"
    written.write_bytes(b"1")
    return written


@pytest.mark.parametrize("act", [lambda f: f.write_bytes(b"22"), lambda f: f.unlink(), lambda f: f.rename(f"{f}.old")])
async def test_it_rings_at_once(file: Path, act: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COVER_S", 30.0)
    bell = Bell((file,))
    bell.arm()
    asyncio.get_running_loop().call_later(0.01, act, file)
    assert await _waited_s(bell) < 10.0
    bell.close()


async def test_a_write_between_the_look_and_the_wait_still_rings(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COVER_S", 30.0)
    bell = Bell((file,))
    bell.arm()
    act = file.write_bytes
    act(b"333")
    assert await _waited_s(bell) < 10.0
    bell.close()


async def test_silence_is_covered_by_a_look_now_and_then(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COVER_S", 0.05)
    bell = Bell((file,))
    bell.arm()
    assert 0.04 < await _waited_s(bell) < 10.0
    bell.close()


async def test_a_file_that_is_not_there_yet_is_looked_for_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COVER_S", 30.0)
    bell = Bell((tmp_path / "not-yet",))
    bell.arm()
    assert await _waited_s(bell) < 10.0
    bell.close()


async def test_without_inotify_it_looks_often(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bell, "_open", lambda self: -1)
    monkeypatch.setattr(module, "COVER_S", 30.0)
    bell = Bell((file,))
    bell.arm()
    assert await _waited_s(bell) < 10.0
    bell.close()

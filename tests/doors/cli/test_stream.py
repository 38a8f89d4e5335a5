"""The merged stream on the terminal of `tidegate up`."""

import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import pytest

from tidegate.doors.cli.stream import Stream
from tidegate.doors.cli.up import boxed

NAMES = ("control", "gateway-1")


@contextmanager
def pipe() -> Iterator[tuple[int, TextIO]]:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as out:
        yield reading, out
    os.close(reading)


def test_lines_stand_behind_their_process_and_without_the_day():
    with pipe() as (reading, out):
        stream = Stream(out, NAMES, {})
        stream.line("control", "2026-11-24 06:00:00.123 info    app: hello")
        stream.line("gateway-1", "Traceback (most recent call last):")
        stream.note("two\nlines")
        told = os.read(reading, 4096).decode().splitlines()
    assert told[0] == "control   | 06:00:00.123 info    app: hello"
    assert told[1] == "gateway-1 | Traceback (most recent call last):"
    assert [line.split(" ")[-1] for line in told[2:]] == ["two", "lines"]
    assert all(line.startswith("tidegate  | ") for line in told[2:])


@pytest.mark.parametrize(
    ("environ", "coloured"), [({"FORCE_COLOR": "1"}, True), ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False), ({}, False)]
)
def test_colours_only_where_they_are_wanted(environ: dict[str, str], coloured: bool):
    with pipe() as (reading, out):
        Stream(out, NAMES, environ).line("control", "hello")
        assert ("\x1b[" in os.read(reading, 4096).decode()) is coloured


def test_json_lines_go_through_as_they_are():
    with pipe() as (reading, out):
        Stream(out, NAMES, {"FORCE_COLOR": "1"}, json=True).line("control", '{"process":"control"}')
        assert os.read(reading, 4096) == b'{"process":"control"}\n'


def test_a_reader_that_does_not_read_never_stops_the_platform_and_hears_what_it_missed():
    with pipe() as (reading, out):
        stream = Stream(out, NAMES, {})
        begun = time.monotonic()
        for _ in range(3000):
            stream.line("control", "x" * 100)
        assert time.monotonic() - begun < 20.0
        read = b""
        while len(read) < 60_000:
            read += os.read(reading, 65_536)
        stream.line("control", "after the pause")
        told = os.read(reading, 65_536).decode()
    assert "lines were left out here; the log files have them" in told
    assert told.endswith("control   | after the pause\n")


def test_a_reader_that_is_gone_does_not_matter():
    reading, writing = os.pipe()
    os.close(reading)
    out = os.fdopen(writing, "w")
    stream = Stream(out, NAMES, {})
    stream.line("control", "hello")
    stream.note("hello")
    out.close()


def test_the_box_is_as_wide_as_its_longest_row():
    lines = boxed(
        [("ready in 1.8 s", ""), ("gateway", "http://127.0.0.1:8080/v1"), ("", ""), ("a key", "x")], coloured=False
    ).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[0].startswith("╭")
    assert lines[-1].endswith("╯")
    assert "│ gateway  http://127.0.0.1:8080/v1 │" in lines


def test_a_stream_needs_a_real_descriptor():
    with pytest.raises(io.UnsupportedOperation):
        Stream(io.StringIO(), NAMES, {})

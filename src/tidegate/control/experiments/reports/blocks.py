"""A report as values, before it is Markdown, a page or lines on a terminal: sections of sentences and tables."""

from typing import NamedTuple

from tidegate.control.experiments.reports.words import Mood

__all__ = ["Grid", "Report", "Section"]


class Grid(NamedTuple):
    """A table. A head that begins with `>` stands over figures, to the right."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Section(NamedTuple):
    """A part of a report: its name for programs, its title, sentences, points of a list, and tables."""

    key: str
    title: str
    lines: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    grids: tuple[Grid, ...] = ()


class Report(NamedTuple):
    """The answer first, what it is about, then the sections."""

    title: str
    mood: Mood
    answer: str
    lead: tuple[str, ...]
    sections: tuple[Section, ...]

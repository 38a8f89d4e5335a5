"""Markup that text from outside cannot break out of: elements are made here only, and text goes in escaped; and the
same for Markdown.
"""

import re
from html import escape
from typing import NewType

__all__ = ["Markup", "markdown_safe", "tag", "text"]

_SPECIAL = re.compile(r"[\\`*\[\]<>|#~!&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")

Markup = NewType("Markup", str)
"""HTML or SVG that is whole: its elements closed, its text escaped."""


def text(words: str) -> Markup:
    """Words as markup: nothing in them is an element."""
    return Markup(escape(words, quote=True))


def tag(name: str, *inside: Markup, **attributes: str | float) -> Markup:
    """An element with its attributes, values escaped and figures to a tenth. `_` in a name is `-`; `class_` is
    `class`.
    """
    said = "".join(f' {_name(key)}="{_value(value)}"' for key, value in attributes.items())
    return Markup(f"<{name}{said}>{''.join(inside)}</{name}>")


def markdown_safe(words: str) -> str:
    """Words in which nothing is Markdown: marks escaped, `_` only where it could begin or end emphasis."""
    return _SPECIAL.sub(lambda found: "\\" + found.group(), words)


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _value(value: str | float) -> str:
    return escape(value, quote=True) if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")

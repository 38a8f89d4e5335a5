"""Markup that text from outside cannot break out of: elements are made here only, and text goes in escaped."""

from html import escape
from typing import NewType

__all__ = ["Markup", "tag", "text"]

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


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _value(value: str | float) -> str:
    return escape(value, quote=True) if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")

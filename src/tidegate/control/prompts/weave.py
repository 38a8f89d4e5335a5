"""Includes: `{% include "name" %}` in a template becomes the fragment's text, before the template is compiled.

The tag alone on its line becomes the fragment's lines; within a line it becomes the fragment's text as it is. In
comments and `{% raw %}` of Jinja templates it stays text.
"""

import re
from collections.abc import Iterator, Mapping

import msgspec

from tidegate.kernel.errors import Invalid
from tidegate.templates.grammar import MAX_SIZE

__all__ = ["Directive", "directives", "mask", "weave"]

_TAG = r"(?P<margin>^[ \t]*)?\{%\s*include\s+[\"'](?P<name>[^\"'\n]{1,64})[\"']\s*%\}(?P<end>\n)?"
_ODD = r"(?P<odd>\{%[-+]?\s*include\b)"
_QUIET = r"(?P<comment>\{#)|(?P<raw>\{%[-+]?\s*raw\s*[-+]?%\})"
_PATTERNS: Mapping[str, re.Pattern[str]] = {
    "jinja2-sandboxed": re.compile(f"{_QUIET}|{_TAG}|{_ODD}", re.MULTILINE),
    "plain": re.compile(f"{_TAG}|{_ODD}", re.MULTILINE),
}
_CLOSERS: Mapping[str, re.Pattern[str]] = {
    "comment": re.compile(r"#\}"),
    "raw": re.compile(r"\{%[-+]?\s*endraw\s*[-+]?%\}"),
}


class Directive(msgspec.Struct, frozen=True):
    """One include in a text: the fragment's name (None: the tag is not in the one form that is read) and its line."""

    name: str | None
    line: int


def directives(text: str, template_format: str) -> tuple[Directive, ...]:
    """The includes of a text, in order."""
    found: list[Directive] = []
    line, seen = 1, 0
    for tag in _tags(text, template_format):
        line += text.count("\n", seen, tag.start())
        seen = tag.start()
        found.append(Directive(tag["name"] or None, line))
    return tuple(found)


def weave(text: str, template_format: str, fragments: Mapping[str, str]) -> str:
    """The text with its fragments in it; raises Invalid when it grows over a template's size.

    Every name that the text includes must be among the fragments, else KeyError.
    """
    parts: list[str] = []
    begin = 0
    size = len(text)
    for tag in _tags(text, template_format):
        if tag["name"] is None:
            continue
        fragment = fragments[tag["name"]]
        alone = tag["margin"] is not None and tag["end"] is not None
        if alone:
            piece = fragment if fragment.endswith("\n") else f"{fragment}\n"
        else:
            piece = f"{tag['margin'] or ''}{fragment}{tag['end'] or ''}"
        parts += (text[begin : tag.start()], piece)
        begin = tag.end()
        size += len(piece)
        if size > MAX_SIZE:
            message = f"With its fragments the template is over {MAX_SIZE // 1024} KiB."
            raise Invalid(message, mend="Include less.", code="template_too_large")
    return "".join((*parts, text[begin:]))


def mask(text: str, template_format: str) -> str:
    """The text without its includes, every line where it was: what is left is the file's own template."""
    parts: list[str] = []
    begin = 0
    for tag in _tags(text, template_format):
        if tag["name"] is not None:
            parts += (text[begin : tag.start()], "\n" * tag[0].count("\n"))
            begin = tag.end()
    return "".join((*parts, text[begin:]))


def _tags(text: str, template_format: str) -> Iterator[re.Match[str]]:
    """Includes, well-formed or not, in one pass: an opener without its closer ends the search."""
    pattern = _PATTERNS[template_format]
    position = 0
    while (found := pattern.search(text, position)) is not None:
        opener = next((kind for kind in _CLOSERS if found.groupdict().get(kind)), None)
        if opener is None:
            yield found
            position = found.end()
            continue
        closer = _CLOSERS[opener].search(text, found.end())
        if closer is None:
            return
        position = closer.end()

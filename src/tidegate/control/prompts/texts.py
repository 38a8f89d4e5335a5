"""The templates of one prompt file: what is wrong with them, at lines of the file, and which variables they use."""

from typing import NamedTuple

from tidegate.control.prompts.files import Source
from tidegate.control.prompts.weave import directives, mask
from tidegate.kernel.documents import Path
from tidegate.kernel.errors import InvalidDocument
from tidegate.templates.compile import check_template

__all__ = ["Use", "check_texts", "included_names", "text_fault"]


class Use(NamedTuple):
    """Where a variable is first used: the text's path and the line in it from 1 (0: the whole value at the path).

    A guarded variable is one that the text copes without.
    """

    path: Path
    line: int
    guarded: bool


def check_texts(source: Source) -> tuple[dict[str, Use], tuple[InvalidDocument, ...]]:
    """The variables that the file's own templates use, and every fault of these templates and of their include tags.

    Where a template cannot be read, the variables that it would use are not among them.
    """
    uses: dict[str, Use] = {}
    faults: list[InvalidDocument] = []
    form = source.file.template_format
    for path, text in source.file.texts():
        report = check_template(mask(text, form), form)
        odd = {tag.line for tag in directives(text, form) if tag.name is None}
        faults += [_odd_tag(source, (path, line)) for line in sorted(odd)]
        faults += [
            text_fault(source, (path, fault.line), fault.message, fault.mend, fault.code)
            for fault in report.faults
            if fault.line not in odd
        ]
        for name, line in report.variables.items():
            known = uses.get(name)
            guarded = name in report.guarded
            uses[name] = known._replace(guarded=known.guarded and guarded) if known else Use(path, line, guarded)
    return uses, tuple(faults)


def included_names(source: Source) -> dict[str, tuple[Path, int]]:
    """The fragments that the file's templates include, each with the text and the line of its first tag."""
    names: dict[str, tuple[Path, int]] = {}
    for path, text in source.file.texts():
        for tag in directives(text, source.file.template_format):
            if tag.name is not None:
                names.setdefault(tag.name, (path, tag.line))
    return names


def text_fault(source: Source, place: tuple[Path, int], message: str, mend: str, code: str) -> InvalidDocument:
    """A fault at a line of a text; at the value itself for line 0."""
    path, text_line = place
    if text_line == 0:
        return source.document.fault(path, message, mend=mend, code=code)
    line, column = source.document.text_place(path, text_line)
    return InvalidDocument(message, file=source.path, line=line, column=column, mend=mend, code=code)


def _odd_tag(source: Source, place: tuple[Path, int]) -> InvalidDocument:
    mend = 'Write {% include "name" %}: a name in quotes, and nothing else.'
    return text_fault(source, place, "This include cannot be read.", mend, "include_syntax")

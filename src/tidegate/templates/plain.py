"""The plain template format: text with `{{ name }}` in it and nothing else. The fastest; most prompts need no more."""

import re
from collections.abc import Callable, Mapping

from tidegate.templates.faults import TemplateFault, TemplateReport
from tidegate.templates.grammar import MAX_SIZE
from tidegate.templates.values import Unprintable, bounded, is_variable_name, text_of

__all__ = ["check_plain", "compile_plain"]

_PLACE = re.compile(r"\{\{[ \t\n]*([A-Za-z][A-Za-z0-9_]*)[ \t\n]*\}\}", re.ASCII)


def check_plain(text: str) -> TemplateReport:
    """Read a template; its faults come all together, each with its line."""
    if len(text) > MAX_SIZE:
        message = f"The template is over {MAX_SIZE // 1024} KiB."
        fault = TemplateFault(1, message, "Pass long texts as variables.", "template_too_large")
        return TemplateReport((fault,))
    text = _unix_lines(text)
    faults: list[TemplateFault] = []
    names: dict[str, int] = {}
    line, seen = 1, 0
    for start in (found.start() for found in re.finditer(r"\{\{", text)):
        place = _PLACE.match(text, start)
        line += text.count("\n", seen, start)
        seen = start
        if place and is_variable_name(place[1]):
            names.setdefault(place[1], line)
        elif not faults or faults[-1].line != line:
            mend = "Write {{ name }}; for anything more, set template_format: jinja2-sandboxed."
            faults.append(TemplateFault(line, "Here `{{` does not begin a {{ name }}.", mend, "template_syntax"))
    return TemplateReport(tuple(faults), names)


def compile_plain(text: str) -> Callable[[Mapping[str, object]], str]:
    """Return the function that fills the template; raises Unprintable with the first fault of one that has any.

    The function takes the variables, and raises Unprintable when one is missing or has no text.
    """
    report = check_plain(text)
    if report.faults:
        raise Unprintable(report.faults[0].message)
    pieces = _PLACE.split(_unix_lines(text))
    form = "%s".join(piece.replace("%", "%%") for piece in pieces[::2])
    names = tuple(pieces[1::2])

    def fill(variables: Mapping[str, object]) -> str:
        try:
            values = [variables[name] for name in names]
        except KeyError as error:
            raise Unprintable(f"`{error.args[0]}` was not given") from error
        return bounded(form % tuple([v if type(v) is str else text_of(v) for v in values]))

    return fill


def _unix_lines(text: str) -> str:
    """Line breaks as Jinja makes them, so that both formats give the same text."""
    return text.replace("\r\n", "\n").replace("\r", "\n")

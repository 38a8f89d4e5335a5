"""A prompt version, compiled once for many renderings: variables in, messages or text out."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

import msgspec

from tidegate.kernel.errors import Invalid
from tidegate.templates.faults import TemplateFault, TemplateReport
from tidegate.templates.parameters import Parameters
from tidegate.templates.plain import check_plain, compile_plain
from tidegate.templates.sandbox import check_jinja, compile_jinja
from tidegate.templates.values import Unprintable

__all__ = ["FORMATS", "CompiledPrompt", "Rendered", "Source", "check_template", "compile_prompt"]

JINJA = "jinja2-sandboxed"
PLAIN = "plain"
FORMATS = (JINJA, PLAIN)

_Fill: TypeAlias = Callable[[Mapping[str, object]], str]
_COMPILERS: Mapping[str, Callable[[str], _Fill]] = {JINJA: compile_jinja, PLAIN: compile_plain}
_CHECKERS: Mapping[str, Callable[[str], TemplateReport]] = {JINJA: check_jinja, PLAIN: check_plain}


class _SourceMessage(Protocol):
    @property
    def role(self) -> str: ...
    @property
    def content(self) -> str: ...


class Source(Protocol):
    """What is compiled: `live.snapshot.PromptVersion` has this shape."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def template_format(self) -> str: ...
    @property
    def messages(self) -> Sequence[_SourceMessage]: ...
    @property
    def template(self) -> str | None: ...
    @property
    def params(self) -> Mapping[str, object]: ...


class Rendered(msgspec.Struct, frozen=True):
    """A filled prompt: `messages` of a chat prompt, `text` of a text prompt; the other is None."""

    messages: list[dict[str, str]] | None = None
    text: str | None = None


class CompiledPrompt:
    """A prompt version that is ready to be filled. Safe to share between threads and tasks."""

    __slots__ = ("_messages", "_parameters", "_text", "name", "version")

    def __init__(self, source: Source) -> None:
        fill_from = _COMPILERS[source.template_format]
        self.name = source.name
        self.version = source.version
        self._parameters = Parameters(f"{source.name} {source.version}", source.params)
        self._messages = tuple((message.role, fill_from(message.content)) for message in source.messages)
        self._text = None if source.template is None else fill_from(source.template)

    def render(self, variables: Mapping[str, object]) -> Rendered:
        """Fill the prompt. Raises InvalidVariables naming every missing, unknown and mistyped variable.

        A variable's text is put in as it is: template signs within it mean nothing.
        """
        values = self._parameters.check(variables)
        try:
            if self._text is not None:
                return Rendered(None, self._text(values))
            return Rendered([{"role": role, "content": fill(values)} for role, fill in self._messages])
        except Unprintable as error:
            raise self._parameters.complaint([str(error)]) from error


def compile_prompt(version: Source) -> CompiledPrompt:
    """Compile a version that lint passed; raises Invalid when its template or schema cannot be used after all."""
    try:
        return CompiledPrompt(version)
    except (Unprintable, KeyError, ValueError) as error:
        reason = f"there is no template_format {error}" if isinstance(error, KeyError) else str(error)
        raise Invalid(
            f"Prompt {version.name} {version.version} cannot be compiled: {reason.rstrip('.')}.",
            mend="Run `tidegate prompt lint`, and mend it in a new version.",
            code="invalid_prompt",
        ) from error


def check_template(text: str, template_format: str) -> TemplateReport:
    """Read one template of a prompt: its faults with their lines, and the variables that it uses."""
    checker = _CHECKERS.get(template_format)
    if checker is None:
        mend = f"Known: {', '.join(FORMATS)}."
        fault = TemplateFault(1, f"There is no template_format {template_format!r}.", mend, "template_syntax")
        return TemplateReport((fault,))
    return checker(text)

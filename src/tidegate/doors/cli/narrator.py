"""The voice of `tidegate demo`: how the story looks on the terminal, at 80 to 100 columns."""

import contextlib
import re
from collections.abc import Iterator

from rich.console import Console
from rich.rule import Rule
from rich.syntax import Syntax
from rich.text import Text

from tidegate.app.demo.model import Answer

__all__ = ["INDENT", "Narrator"]

INDENT = 2
MARGIN = 12
"""Where the text of questions and answers begins."""

THEME = "ansi_dark"

_WORD = re.compile(r"\n+|\s*\S+|[^\S\n]+")


class Narrator:
    """Tells the story with Rich: a rule for each chapter, `$ ` before each command, outputs set in below it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._chapter = 0
        self._fresh = False
        self._column = 0

    def chapter(self, title: str, why: str) -> None:
        """See `app.demo.model.Teller`."""
        self._chapter += 1
        self._console.print()
        self._console.print(Rule(f"[bold]{self._chapter}  {title}[/bold]", align="left", style="cyan"))
        self._console.print(Text(why, style="dim"))

    def command(self, line: str) -> None:
        """See `app.demo.model.Teller`."""
        self._console.print()
        self._console.print(Text.assemble(("$ ", "green"), (line, "bold")))

    def output(self, text: str) -> None:
        """See `app.demo.model.Teller`."""
        for line in Text.from_ansi(text.strip("\n")).split("\n", allow_blank=True):
            line.rstrip()
            self._console.print(Text(" " * INDENT if line else "").append_text(line), soft_wrap=True)

    def code(self, text: str) -> None:
        """See `app.demo.model.Teller`."""
        self._console.print()
        self.listing(text, "python")

    def listing(self, text: str, language: str) -> None:
        """Text of a language in its colours."""
        coloured = Syntax(text, language, theme=THEME, background_color="default").highlight(text)
        for line in coloured.split("\n"):
            self._console.print(Text(" " * INDENT if line else "").append_text(line), soft_wrap=True)

    def question(self, text: str) -> None:
        """See `app.demo.model.Teller`."""
        self._console.print()
        self._console.print(Text.assemble(("  customer  ", "cyan"), text))
        self._fresh = True

    def piece(self, text: str) -> None:
        """See `app.demo.model.Teller`."""
        if self._fresh:
            self._console.print(Text("  answer    ", style="magenta"), end="")
            self._column = MARGIN
            text = text.lstrip()
            self._fresh = not text
        for word in _WORD.findall(text):
            self._say(word)
        self._console.file.flush()

    def _say(self, word: str) -> None:
        """One word of an answer, on a new line when this one is full."""
        if "\n" in word or self._column + len(word) > self._console.width:
            self._console.out("\n" + " " * MARGIN, end="", highlight=False)
            self._column = MARGIN
            word = word.strip()
        self._console.out(word, end="", highlight=False)
        self._column += len(word)

    def answered(self, answer: Answer) -> None:
        """See `app.demo.model.Teller`."""
        facts = [f"x-tidegate-version {answer.version}"]
        if answer.first_token_s is not None:
            facts.append(f"TTFT {answer.first_token_s * 1000:.0f} ms")
        facts.append(f"{answer.took_s * 1000:.0f} ms")
        if answer.input_tokens is not None and answer.output_tokens is not None:
            facts.append(f"{answer.input_tokens}/{answer.output_tokens} tokens")
        self._console.print()
        self._console.print(Text(f"{' ' * MARGIN}{' · '.join(facts)}", style="dim"))

    def remark(self, text: str) -> None:
        """See `app.demo.model.Teller`."""
        self._console.print()
        for line in Text(text, style="yellow").wrap(self._console, self._console.width - INDENT):
            line.rstrip()
            self._console.print(Text(" " * INDENT).append_text(line))

    @contextlib.contextmanager
    def busy(self, text: str) -> Iterator[None]:
        """See `app.demo.model.Teller`."""
        if not self._console.is_terminal:
            yield
            return
        with self._console.status(text):
            yield

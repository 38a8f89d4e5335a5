"""What the demo is asked for, what it measures, and who tells it."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import msgspec

__all__ = ["ENVIRONMENT", "NEW", "OLD", "PROMPT", "Answer", "DemoOptions", "Movement", "Question", "Ran", "Teller"]

PROMPT = "support-answer"
ENVIRONMENT = "production"
OLD, NEW = "1.0.0", "1.1.0"


class DemoOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`model_url` None means the local model. `folder` None: a temporary one, removed afterwards unless `keep`."""

    once: bool = False
    keep: bool = False
    folder: Path | None = None
    model_url: str | None = None
    model_name: str | None = None
    api_key_env: str | None = None


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """A command that ran: what it printed, its exit code, its wall time with the interpreter's start."""

    words: tuple[str, ...]
    output: str
    code: int
    took_s: float


class Question(msgspec.Struct, frozen=True):
    """The variables of one request, from the workspace's own dataset."""

    facts: str
    question: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer as the application saw it. `version` is the header x-tidegate-version, NAME@VERSION;
    times in seconds."""

    text: str
    version: str | None
    took_s: float
    first_token_s: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """How traffic moved while a command ran. `first_s`: from the command's start to the begin of the first answer from
    the version that it asked for.
    """

    first_s: float
    answers: dict[str, int]
    failed: tuple[str, ...] = ()


class Teller(Protocol):
    """Shows the story."""

    def chapter(self, title: str, why: str) -> None:
        """A step begins."""
        ...

    def command(self, line: str) -> None:
        """A command, as a user would type it."""
        ...

    def output(self, text: str) -> None:
        """What a command printed, colours and all."""
        ...

    def code(self, text: str) -> None:
        """Python that an application would hold."""
        ...

    def question(self, text: str) -> None:
        """What a customer asks."""
        ...

    def piece(self, text: str) -> None:
        """A piece of an answer, as it comes."""
        ...

    def answered(self, answer: Answer) -> None:
        """The answer is whole."""
        ...

    def remark(self, text: str) -> None:
        """A sentence about what was just seen."""
        ...

    def busy(self, text: str) -> AbstractContextManager[object]:
        """Shown while something is waited for."""
        ...

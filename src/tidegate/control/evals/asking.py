"""From a case to a question: what is asked, what its answer depends on, and which failures may pass."""

import math
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from tidegate.control.evals.keys import answer_key
from tidegate.control.evals.model import AnswerKey, Case
from tidegate.kernel.complete import Ask
from tidegate.kernel.errors import (
    ProviderFailed,
    ProviderTimeout,
    ProviderUnreachable,
    Refused,
    TidegateError,
    Unavailable,
)
from tidegate.live.snapshot import PromptVersion
from tidegate.templates.compile import compile_prompt

__all__ = ["Asker", "FunctionAsker", "Prepared", "PromptAsker", "context_of", "may_pass", "tokens_of"]

CHARACTERS_PER_TOKEN = 4
QUESTIONS = ("question", "query", "input", "text", "prompt")
FIRST_ERROR = 500
LATER = (408, 425, 429)


class Prepared(msgspec.Struct, frozen=True):
    """A case that is ready to be asked: the question as a scorer is shown it, and the answer's content key."""

    ask: Ask
    question: str
    key: str


class Asker(Protocol):
    """Makes cases into questions."""

    def prepare(self, case: Case, repeat: int) -> Prepared:
        """Raises a TidegateError (InvalidVariables most of all) for a case that cannot be asked."""
        ...


class PromptAsker:
    """Asks a prompt's version, rendered with the case's variables. A text prompt is asked as one message of the user,
    as /v1/chat/completions asks it. `identity` says which model answers, in full, so that another one behind the same
    alias gets other keys; `settings` win over the version's own.
    """

    def __init__(
        self, version: PromptVersion, *, model: str, identity: str, settings: Mapping[str, Any], timeout_s: float
    ) -> None:
        self._compiled = compile_prompt(version)
        self._content_hash = version.content_hash
        self._model = model
        self._identity = identity
        self._settings = {**version.sampling, **settings}
        self._timeout_s = timeout_s

    def prepare(self, case: Case, repeat: int) -> Prepared:
        """See `Asker`."""
        rendered = self._compiled.render(case.variables)
        messages: tuple[dict[str, Any], ...] = tuple(rendered.messages or ())
        if not messages:
            messages = ({"role": "user", "content": rendered.text or ""},)
        ask = Ask(model=self._model, messages=messages, settings=self._settings, timeout_s=self._timeout_s)
        asked = [str(one["content"]) for one in messages if one["role"] == "user"]
        question = asked[-1] if asked else str(messages[-1]["content"])
        return Prepared(ask, question, _key(ask, self._content_hash, self._identity, repeat))


class FunctionAsker:
    """Asks a function: the case's variables are its arguments. `content_hash` is that of its file."""

    def __init__(self, name: str, *, content_hash: str, timeout_s: float) -> None:
        self._name = name
        self._content_hash = content_hash
        self._timeout_s = timeout_s

    def prepare(self, case: Case, repeat: int) -> Prepared:
        """See `Asker`."""
        ask = Ask(model=self._name, settings=case.variables, timeout_s=self._timeout_s)
        question = next((str(case.variables[name]) for name in QUESTIONS if name in case.variables), "")
        return Prepared(ask, question, _key(ask, self._content_hash, self._name, repeat))


def context_of(case: Case) -> str | None:
    """The evidence that an answer is held against: the case's own, else its variable `context`."""
    if case.context is not None:
        return case.context
    found = case.variables.get("context")
    if isinstance(found, list):
        return "\n\n".join(map(str, found))
    return None if found is None else str(found)


def may_pass(error: TidegateError) -> float | None:
    """Seconds that the provider asks to be left alone (0: it says nothing) when trying again may help; None when it
    will not.
    """
    if isinstance(error, Refused):
        return error.retry_after_s
    if isinstance(error, ProviderTimeout | ProviderUnreachable | Unavailable):
        return 0.0
    if isinstance(error, ProviderFailed):
        if error.code == "provider_cut":
            return 0.0
        status = error.status
        return 0.0 if status is not None and (status in LATER or status >= FIRST_ERROR) else None
    return None


def tokens_of(ask: Ask) -> int:
    """About how many tokens a call takes, for its turn under a limit on tokens: what is asked, and the most that may
    be answered.
    """
    said = sum(len(str(one.get("content", ""))) for one in ask.messages) + len(ask.text or "")
    most = ask.settings.get("max_completion_tokens") or ask.settings.get("max_tokens") or 0
    return math.ceil(said / CHARACTERS_PER_TOKEN) + (most if isinstance(most, int) else 0)


def _key(ask: Ask, content_hash: str, identity: str, repeat: int) -> str:
    return answer_key(
        AnswerKey(
            content_hash=content_hash,
            model=identity,
            messages=ask.messages,
            text=ask.text,
            settings=ask.settings,
            repeat=repeat,
        )
    )

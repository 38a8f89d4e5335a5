"""The application in the story: the real `openai` client, pointed at the gateway, and nothing else."""

import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tidegate.app.demo.model import PROMPT, Answer, Movement, Question
from tidegate.kernel.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletion

__all__ = ["Customer", "Traffic", "openai_module"]

VERSION_HEADER = "x-tidegate-version"
PATIENCE_S = 60.0


def openai_module() -> ModuleType:
    """The OpenAI client; raises NotFound with the mend when it is not installed."""
    try:
        import openai  # noqa: PLC0415  # optional extra
    except ImportError as error:
        raise NotFound(
            "package", "openai", mend="Install it: pip install openai (or the extra: pip install 'tidegate[local]').",
            code="openai_not_installed",
        ) from error  # fmt: skip
    return openai


class Customer:
    """Asks the prompt by its name; knows no model, no version and no message."""

    def __init__(self, base_url: str, api_key: str) -> None:
        self._client: Any = openai_module().OpenAI(
            base_url=base_url, api_key=api_key, timeout=PATIENCE_S, max_retries=0
        )

    def ask(self, question: Question) -> Answer:
        """One request, answered whole."""
        begun = time.perf_counter()
        raw = self._send(question, stream=False)
        completion: ChatCompletion = raw.parse()
        usage = completion.usage
        return Answer(
            text=(completion.choices[0].message.content or "").strip(),
            version=raw.headers.get(VERSION_HEADER),
            took_s=time.perf_counter() - begun,
            input_tokens=usage.prompt_tokens if usage else None,
            output_tokens=usage.completion_tokens if usage else None,
        )

    def stream(
        self, question: Question, piece: Callable[[str], None], begins: Callable[[str | None], None] | None = None
    ) -> Answer:
        """One request, answered as it is made: `begins` hears the version, `piece` each piece of the text."""
        begun = time.perf_counter()
        raw = self._send(question, stream=True)
        version = raw.headers.get(VERSION_HEADER)
        if begins is not None:
            begins(version)
        text, first_s = "", None
        for chunk in raw.parse():
            content = chunk.choices[0].delta.content if chunk.choices else None
            if content:
                first_s = time.perf_counter() - begun if first_s is None else first_s
                text += content
                piece(content)
        return Answer(text=text.strip(), version=version, took_s=time.perf_counter() - begun, first_token_s=first_s)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _send(self, question: Question, *, stream: bool) -> Any:
        variables = {"facts": question.facts, "question": question.question}
        return self._client.chat.completions.with_raw_response.create(
            model=f"prompt:{PROMPT}", messages=[], stream=stream, extra_body={"variables": variables}
        )


class Traffic:
    """A customer that asks again and again in a thread of its own, while somebody releases."""

    def __init__(self, customer: Customer, question: Question) -> None:
        self._customer = customer
        self._question = question
        self._begun: list[tuple[float, str]] = []  # when an answer began, and from which version
        self._failed: list[str] = []
        self._seen = threading.Condition()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def start(self) -> None:
        """Begin, and wait for the first answer."""
        self._thread.start()
        self._wait(lambda: bool(self._begun))

    def moved(self, version: str, since_s: float) -> Movement:
        """Wait for an answer from `version` that began after `since_s` (perf_counter), then end the traffic."""
        self._wait(lambda: any(name == version and at > since_s for at, name in self._begun))
        self._over.set()
        self._thread.join(PATIENCE_S)
        first = min(at for at, name in self._begun if name == version and at > since_s)
        counts: dict[str, int] = {}
        for _, name in self._begun:
            counts[name] = counts.get(name, 0) + 1
        return Movement(first_s=first - since_s, answers=counts, failed=tuple(self._failed))

    def end(self) -> None:
        """Stop asking, whatever was seen."""
        self._over.set()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._customer.stream(self._question, lambda _: None, self._begins)
            except Exception as error:  # whatever the client raises is a failed request, and is told as such
                with self._seen:
                    self._failed.append(f"{type(error).__name__}: {error}")
                    self._over.set()
                    self._seen.notify_all()

    def _begins(self, version: str | None) -> None:
        with self._seen:
            self._begun.append((time.perf_counter(), version or "no version"))
            self._seen.notify_all()

    def _wait(self, seen: Callable[[], bool]) -> None:
        with self._seen:
            self._seen.wait_for(lambda: seen() or bool(self._failed), PATIENCE_S)
            if not seen():
                cause = self._failed[0] if self._failed else f"no such answer in {PATIENCE_S:g} s"
                raise Unavailable(
                    f"The traffic broke off: {cause}.",
                    mend="See the gateway's log in .tidegate/logs.",
                    code="demo_failed",
                )

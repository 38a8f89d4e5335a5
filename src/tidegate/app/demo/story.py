"""The story, chapter by chapter. Every command is typed as a user would type it; every figure is measured here."""

import re
import time
from collections.abc import Callable
from pathlib import Path

from tidegate.app.demo.customer import Customer, Traffic, openai_module
from tidegate.app.demo.model import ENVIRONMENT, NEW, OLD, PROMPT, Answer, DemoOptions, Movement, Question, Ran, Teller
from tidegate.app.demo.platform import Platform
from tidegate.app.demo.workspace import DemoFolder, choose_ports, questions
from tidegate.app.local_model import missing_parts
from tidegate.kernel.errors import Conflict, NotFound, Unavailable
from tidegate.settings import Settings

__all__ = ["Story", "check_parts", "snippet"]

UP_TRIES = 3

_SECRET = re.compile(r"\btg-[0-9a-f]{40}\b")


def check_parts(options: DemoOptions) -> None:
    """Raise NotFound when the demo cannot run here: no OpenAI client, or no local model and no other one named."""
    openai_module()
    missing = missing_parts() if options.model_url is None else None
    if missing is not None:
        raise NotFound(
            "local model", "SmolLM2-135M",
            mend=f"{missing} Or run the demo on any OpenAI-compatible server: `tidegate demo --model URL`.",
            code="model_not_installed",
        )  # fmt: skip


class Story:
    """One telling. `tell` runs the chapters; `close` stops and removes all that was made."""

    def __init__(self, options: DemoOptions, teller: Teller, platform: Platform) -> None:
        self._options = options
        self._teller = teller
        self._platform = platform
        self._folder = DemoFolder(options.folder, keep=options.keep)
        self._settings = Settings(workspace=self._folder.path)
        self._key = ""
        self._questions: tuple[Question, ...] = ()
        self._customer: Customer | None = None

    @property
    def folder(self) -> Path:
        """The workspace."""
        return self._folder.path

    @property
    def keeps(self) -> bool:
        """Whether the workspace outlives the story."""
        return self._folder.keep

    @property
    def settings(self) -> Settings:
        return self._settings

    @property
    def key(self) -> str:
        """The application's key."""
        return self._key

    def tell(self) -> None:
        """All chapters; raises what stopped the story."""
        self._begin()
        self._serve()
        self._admit()
        self._release(OLD)
        self._ask()
        self._replace()
        self._roll_back()
        self._look_back()

    def close(self) -> int:
        """Stop the platform, remove the folder unless it is kept; return the platform's exit code."""
        if self._customer is not None:
            self._customer.close()
        code = self._platform.stop()
        self._folder.close()
        return code

    def _begin(self) -> None:
        self._teller.chapter("A workspace", "Configuration, prompts in Git, keys: a folder that says what is served.")
        options = self._options
        given = {"--model": options.model_url, "--model-name": options.model_name, "--api-key-env": options.api_key_env}
        words = [word for name, value in given.items() if value for word in (name, value)]
        self._type("init", self.folder.name, *words, folder=self.folder.parent)
        self._settings, notes = choose_ports(self.folder)
        for note in notes:
            self._teller.remark(f"{note}: written into tidegate.yaml.")
        self._questions = questions(self.folder)

    def _serve(self) -> None:
        self._teller.chapter("One command serves it", "Control plane, gateway and, if it is yours, the local model.")
        self._teller.command(f"cd {self.folder.name} && tidegate up")
        with self._teller.busy("starting"):
            box, took_s = self._up()
        self._teller.output(box)
        self._teller.remark(
            f"All answered {took_s:.1f} s after the command. It keeps its terminal: we go on in another."
        )

    def _up(self) -> tuple[str, float]:
        """Start the platform; on other ports if somebody takes one between the look and the start."""
        for _ in range(UP_TRIES - 1):
            try:
                return self._platform.up(self._settings)
            except Conflict as taken:
                self._settings, notes = choose_ports(self.folder)
                self._teller.remark(f"{taken.message} {'; '.join(notes)}: written into tidegate.yaml.")
        return self._platform.up(self._settings)

    def _admit(self) -> None:
        self._teller.chapter("A key for an application", "Shown once, stored as a hash.")
        printed = self._type("keys", "create", "shop-app")
        found = _SECRET.search(printed)
        if found is None:
            raise Unavailable("`tidegate keys create` printed no key.", mend="Report this.", code="demo_failed")
        self._key = found[0]
        self._customer = Customer(f"{self._settings.gateway_url}/v1", self._key)

    def _release(self, version: str) -> None:
        why = "The application will ask for the prompt by its name, never for a version or a model."
        self._teller.chapter(f"Version {version} goes live", why)
        self._type("release", "deploy", f"{PROMPT}@{version}", "--env", ENVIRONMENT)
        self._platform.settle(self._settings)

    def _ask(self) -> None:
        self._teller.chapter("The application asks", "With the real OpenAI client: only base_url and the key are ours.")
        self._teller.code(snippet(self._settings, self._key, self._questions[0]))
        for question in self._questions[:2]:
            self._ask_one(question, OLD)
        self._teller.remark("The third one is streamed, token by token:")
        self._stream_one(self._questions[2], OLD)

    def _replace(self) -> None:
        self._teller.chapter(f"Version {NEW} takes over", "No application changes, no process restarts.")
        hasty = ("--emergency", "--reason", "this demo cannot wait")
        self._type("release", "deploy", f"{PROMPT}@{NEW}", "--env", ENVIRONMENT, *hasty)
        self._teller.remark(
            f"{ENVIRONMENT} is protected: what is live there is replaced step by step, judged at every look "
            "(`tidegate release start`), unless somebody says that it cannot wait, and why."
        )
        self._platform.settle(self._settings)
        self._type("release", "status")
        for question in self._questions:
            self._ask_one(question, NEW)

    def _roll_back(self) -> None:
        self._teller.chapter("Back in one command", "While the application goes on asking.")
        customer = self._customer
        assert customer is not None
        traffic = Traffic(customer, self._questions[0])
        try:
            traffic.start()
            begun = time.perf_counter()
            ran = self._typed("release", "rollback", PROMPT, "--env", ENVIRONMENT, "--reason", "too chatty")
            movement = traffic.moved(f"{PROMPT}@{OLD}", begun)
        finally:
            traffic.end()
        self._teller.remark(_moved(movement, ran))

    def _look_back(self) -> None:
        self._teller.chapter("What the platform remembers", "Every call, and who changed what.")
        self._type("calls", "tail", "--limit", "12")
        self._type("audit", "--limit", "3")

    def _type(self, *words: str, folder: Path | None = None) -> str:
        return self._typed(*words, folder=folder).output

    def _typed(self, *words: str, folder: Path | None = None) -> Ran:
        self._teller.command("tidegate " + " ".join(_quoted(word) for word in words))
        ran = self._platform.run(folder or self.folder, *words)
        self._teller.output(ran.output)
        return ran

    def _ask_one(self, question: Question, version: str) -> None:
        self._teller.question(question.question)
        answer = self._asked(lambda customer: customer.ask(question))
        self._teller.piece(answer.text)
        self._teller.answered(answer)
        _check_version(answer.version, version)

    def _stream_one(self, question: Question, version: str) -> None:
        self._teller.question(question.question)
        answer = self._asked(lambda customer: customer.stream(question, self._teller.piece))
        self._teller.answered(answer)
        _check_version(answer.version, version)

    def _asked(self, ask: Callable[[Customer], Answer]) -> Answer:
        """An answer, or the failure in our words, with the platform's last lines."""
        assert self._customer is not None
        try:
            return ask(self._customer)
        except openai_module().OpenAIError as error:
            lines = "\n".join(f"  {line}" for line in self._platform.excerpt())
            raise Unavailable(
                f"The request failed: {error}\nThe platform's last words:\n{lines}",
                mend="See the lines above; `tidegate doctor` tells more.",
                code="demo_failed",
            ) from error


def snippet(settings: Settings, key: str, question: Question) -> str:
    """What an application holds to ask the prompt."""
    return f"""\
from openai import OpenAI

client = OpenAI(
    base_url="{settings.gateway_url}/v1",
    api_key="{key}",
)
answer = client.chat.completions.create(
    model="prompt:{PROMPT}", messages=[],
    extra_body={{"variables": {{
        "facts": "{question.facts}",
        "question": "{question.question}"}}}})"""


def _check_version(served: str | None, wanted: str) -> None:
    """The story must be true: the answer came from the version that was released."""
    if served != f"{PROMPT}@{wanted}":
        raise Unavailable(
            f"The answer came from {served}, and {PROMPT}@{wanted} is live.", mend="Report this.", code="demo_failed"
        )


def _moved(movement: Movement, ran: Ran) -> str:
    counts = ", ".join(f"{count} from {version}" for version, count in movement.answers.items())
    failed = "none failed" if not movement.failed else f"{len(movement.failed)} failed"
    return (
        f"The first answer of {OLD} began {movement.first_s * 1000:.0f} ms after the command was typed; the command "
        f"took {ran.took_s * 1000:.0f} ms, with the start of its own process. Answers meanwhile: {counts}; {failed}."
    )


def _quoted(word: str) -> str:
    return f'"{word}"' if " " in word else word

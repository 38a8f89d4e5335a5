"""The Client: gives rendered prompts by name at memory speed, and follows releases and rollbacks within a moment of
their happening.
"""

import random
import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from types import TracebackType

import msgspec

from tidegate.client.copy import LocalCopy, load_copy, save_copy
from tidegate.client.prompt import RenderedPrompt
from tidegate.client.wire import Answer, Line
from tidegate.kernel.errors import Invalid, NotFound, TidegateError, Unauthenticated, Unavailable
from tidegate.live.assignment import Arm, arm_of
from tidegate.live.experiments import Enrolment, Seen, enrol
from tidegate.live.prompts import LivePrompt, LivePrompts
from tidegate.live.rollouts import place

__all__ = ["Client"]

WAIT_S = 25
RETRY_S = (0.2, 10.0)
FEEDBACK_TRIES = 3


class Client:
    """Prompts for an application that calls its provider itself. (With Tidegate's gateway, the OpenAI client and a
    base_url suffice.)

        client = tidegate.Client("http://127.0.0.1:8080", api_key="tg-...")
        prompt = client.prompt("support-answer", {"question": "Where is my parcel?"}, unit="user-17")
        openai.chat.completions.create(model="gpt-4o-mini", messages=prompt.messages, **prompt.settings)

    The first `prompt` fetches what is live; from then on a thread holds one request open, by which the gateway tells
    of each change at once. While the gateway is away the last good copy serves; with `copy_file` it also serves an
    application that starts meanwhile. The key needs the scope `prompts`, and says which environment is read. Thread-
    safe; after a fork make a new one.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        copy_file: Path | str | None = None,
        timeout_s: float = 5.0,
        stale_after_s: float = 60.0,
    ) -> None:
        self._line = Line(base_url.rstrip("/"))
        self._authorization = f"Bearer {api_key}"
        self._timeout_s = timeout_s
        self._stale_after_s = stale_after_s
        self._file = Path(copy_file) if copy_file else None
        self._copy: LocalCopy | None = None
        self._heard_at = 0.0
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._follower: threading.Thread | None = None

    def prompt(
        self,
        name: str,
        variables: Mapping[str, object] | None = None,
        *,
        unit: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> RenderedPrompt:
        """Render what is live of `name`. `unit` (a user, a session) keeps its version while a release is split
        between versions, and gets the variant that the gateway gives it while an experiment runs with this prompt;
        `tags` are those that an experiment's segment may ask for.

        Raises NotFound (nearest names in the message), InvalidVariables, Unauthenticated or Forbidden, and
        Unavailable when nothing was ever fetched and the gateway cannot be reached.
        """
        copy = self._copy
        if copy is None or self._follower is None:
            copy = self._first()
        live = copy.live
        found = live.prompts.get(name)
        if found is None:
            raise NotFound(
                "prompt",
                name,
                known=tuple(live.prompts),
                mend=f"Nothing of that name is live in {live.environment} for this key.",
            )
        release = found.release
        seen = Seen("", unit, tags or {}, "")
        taken = _enrolled(found, seen, live.holdout_bp)
        arm = _arm(found, seen)
        version = found.versions[(taken.variant.version if taken else None) or arm.version]
        rendered = copy.compiled(version.content_hash).render(variables or {})
        return RenderedPrompt(
            name=name,
            version=version.version,
            model=(taken.variant.model if taken else None) or _model(arm, taken) or version.model,
            messages=rendered.messages,
            text=rendered.text,
            settings=dict(version.sampling),
            release_id=release.release_id,
            environment=live.environment,
            generation=live.generation,
            stale=time.monotonic() - self._heard_at > self._stale_after_s,
            experiment=f"{taken.experiment.name}/{taken.variant.name}" if taken else None,
        )

    def feedback(self, call_id: str, name: str, value: float) -> str:
        """Give a score to a call that went through the gateway; `call_id` is what its reply had in x-request-id (for
        OpenAI's client, `_request_id`). True and False are 1 and 0. Returns the feedback's id, once it is stored.

        Tried three times while the gateway is away, and stored once all the same. Raises
        Invalid, Unauthenticated (the key needs the scope `inference`), and Unavailable.
        """
        headers = {"Authorization": self._authorization, "Idempotency-Key": random.randbytes(16).hex()}
        body = msgspec.json.encode({"call_id": call_id, "name": name, "value": value})
        tries = 0
        while True:
            tries += 1
            try:
                answer = self._line.post("/v1/feedback", headers, self._timeout_s, body)
                if answer.status == HTTPStatus.OK:
                    return str(msgspec.json.decode(answer.body)["feedback_id"])
                raise _refusal(answer)
            except Unavailable:
                if tries == FEEDBACK_TRIES or self._closed.wait(RETRY_S[0]):
                    raise

    def refresh(self) -> int:
        """Ask the gateway now; returns the generation that is held. Raises what `prompt` raises on its first call."""
        self._fetch(wait_s=0)
        assert self._copy is not None
        return self._copy.live.generation

    def close(self) -> None:
        """Stop following."""
        self._closed.set()
        self._line.cut()
        if self._follower is not None:
            self._follower.join(timeout=self._timeout_s)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _first(self) -> LocalCopy:
        with self._lock:
            if self._copy is None:
                try:
                    self._fetch(wait_s=0)
                except Unavailable:
                    self._copy = load_copy(self._file) if self._file else None
                    if self._copy is None:
                        raise
            if self._follower is None:
                self._follower = threading.Thread(target=self._follow, name="tidegate-client", daemon=True)
                self._follower.start()
            assert self._copy is not None
            return self._copy

    def _fetch(self, *, wait_s: int) -> None:
        """One request; with `wait_s` it is held open until there is news."""
        copy = self._copy
        headers = {"Authorization": self._authorization}
        if copy is not None:
            headers |= {"If-None-Match": f'"{copy.live.generation}"', "Prefer": f"wait={wait_s}"}
        answer = self._line.get("/v1/prompts", headers, self._timeout_s + wait_s)
        if answer.status == HTTPStatus.OK:
            live = msgspec.json.decode(answer.body, type=LivePrompts)
            self._copy = LocalCopy(live, copy)
            if self._file is not None:
                save_copy(self._file, live)
        elif answer.status != HTTPStatus.NOT_MODIFIED:
            raise _refusal(answer)
        self._heard_at = time.monotonic()

    def _follow(self) -> None:
        pause_s = RETRY_S[0]
        while not self._closed.is_set():
            try:
                self._fetch(wait_s=WAIT_S)
                pause_s = RETRY_S[0]
            except TidegateError:
                self._closed.wait(pause_s * random.uniform(0.5, 1.5))
                pause_s = min(pause_s * 2, RETRY_S[1])


def _enrolled(found: LivePrompt, seen: Seen, holdout_bp: int) -> Enrolment | None:
    """The first of the prompt's experiments that takes the unit, as in the gateway."""
    taken = (enrol(experiment, seen, holdout_bp) for experiment in found.experiments)
    return next((one for one in taken if one is not None), None)


def _arm(found: LivePrompt, seen: Seen) -> Arm:
    """What the release gives the unit, as in the gateway; a use that does not tell its unit is its own."""
    release = found.release
    seen = seen._replace(call_id=random.randbytes(8).hex())
    if release.rollout is not None:
        return place(release, release.rollout.unit, seen).arm
    return arm_of(release.arms, release.salt, seen.unit or seen.call_id)


def _model(arm: Arm, taken: Enrolment | None) -> str | None:
    """The model of a rollout's arm, where the arm decided."""
    return arm.model if taken is None or taken.variant.version is None else None


def _refusal(answer: Answer) -> TidegateError:
    try:
        error = msgspec.json.decode(answer.body)["error"]
        message, code = str(error["message"]), str(error["code"])
    except (msgspec.DecodeError, KeyError, TypeError):
        message, code = f"The gateway answered {answer.status}.", "unavailable"
    if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Unauthenticated(message, code=code)
    if answer.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE):
        return Invalid(message, code=code)
    return Unavailable(message, code=code)

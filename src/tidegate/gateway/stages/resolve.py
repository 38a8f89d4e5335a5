"""What is asked for: reads the body, renders a prompt by name or follows an alias, as the experiment says that the call
is in, and makes a plan.
"""

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from tidegate.gateway.call import Call, Handler, Reply
from tidegate.kernel.errors import Forbidden, Invalid
from tidegate.live.assignment import arm_of
from tidegate.live.experiments import Enrolment, LiveExperiment, Seen, enrol
from tidegate.live.plans import may_use
from tidegate.live.rollouts import place
from tidegate.live.snapshot import Arm, LiveRelease, PromptVersion
from tidegate.templates.compile import CompiledPrompt

__all__ = ["Resolve"]

PROMPT = "prompt:"
COUNTING = "messages.count_tokens"
USER = "user"
MAX_NAME = 256
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

T = TypeVar("T")
Running = Mapping[str, tuple[LiveExperiment, ...]]

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)
_FLAG = msgspec.json.Decoder(bool | None)
_VARIABLES = msgspec.json.Decoder(dict[str, object])
_OPTIONS = msgspec.json.Decoder(dict[str, object] | None)
_OPTIONAL_TEXT = msgspec.json.Decoder(str | None)
_LIST = msgspec.json.Decoder(list[msgspec.Raw])


class Resolve:
    """The body's fields stay raw JSON: only those that decide are decoded, so that what we do not know goes on
    unchanged.
    """

    async def __call__(self, call: Call, inner: Handler) -> Reply:
        payload = call.payload = _fields(call.request.body)
        model = _decoded(payload, "model", _TEXT, "a string")
        call.model_requested = model[:MAX_NAME]
        if len(model) > MAX_NAME:
            raise Invalid(f"The field `model` is over {MAX_NAME} characters.", mend="Name one model.", param="model")
        if call.endpoint.streams:
            _stream(call)
        _unit(call)
        grant = call.grant
        assert grant is not None
        running = call.world.experiments.get(grant.environment) if call.origin == USER else None
        if model.startswith(PROMPT):
            alias = self._prompt(call, model[len(PROMPT) :], running)
        else:
            alias = model
            models = grant.models
            if models and not may_use(call.world.snapshot, models, model):
                raise _not_allowed(call, "model", model, models)
            if "variables" in payload:
                raise Invalid(
                    "`variables` go with a prompt, and the model asked for is none.",
                    mend=f"Ask for model {PROMPT}NAME.",
                    param="variables",
                )
        for field in call.endpoint.required:
            if field not in payload:
                raise Invalid(
                    f"The field `{field}` is missing.", mend="Add it.", param=field, code="missing_required_parameter"
                )
        if call.endpoint.name == "chat.completions":
            _decoded(payload, "messages", _LIST, "an array")
        if running:
            alias = _model(call, running, alias)
        call.route = alias
        call.plan = call.world.allowed_plan(alias, grant)
        return await inner(call)

    def _prompt(self, call: Call, asked: str, running: Running | None) -> str:
        """Put the rendered prompt into the payload and return the alias of its model. Who asks for a version by number
        was not assigned it: neither experiment nor release must be judged by that.
        """
        name, pins, pinned = asked.partition("@")
        grant, world = call.grant, call.world
        assert grant is not None
        if grant.prompts and name not in grant.prompts:
            raise _not_allowed(call, "prompt", name, grant.prompts)
        taken = _enrolled(call, running, f"{PROMPT}{name}") if running and not pins else None
        chosen = pinned if pins else taken.variant.version if taken is not None else None
        release_id = model = None
        if pins or chosen is None:
            release = world.release(grant.environment, name)
            if chosen is None:
                arm = _arm(call, release, experimental=taken is not None)
                chosen, model = arm.version, arm.model
                release_id = release.release_id if taken is None else None
        call.prompt = name
        version, compiled = world.prompt(name, chosen)
        call.prompt_version = version.version
        call.release_id = release_id
        raw = call.payload.pop("variables", None)
        if "messages" not in call.payload and "prompt" not in call.payload:
            call.variables = raw
        variables = {} if raw is None else _decode(raw, "variables", _VARIABLES, "an object of the prompt's variables")
        _weave(call, version, compiled, variables)
        return (taken.variant.model if taken is not None else None) or model or version.model


def _arm(call: Call, release: LiveRelease, *, experimental: bool) -> Arm:
    """The release's arm for the call, which then has its place in the release's rollout, unless an experiment has taken
    it, or it is no user's.
    """
    rollout = release.rollout
    if rollout is None:
        return arm_of(release.arms, release.salt, call.unit or call.call_id)
    placed = place(release, rollout.unit, Seen(call.call_id, call.unit, call.tags, ""))
    if not experimental and call.origin == USER and call.endpoint.name != COUNTING:
        call.placement = placed
    return placed.arm


def _model(call: Call, running: Running, alias: str) -> str:
    """The alias that an experiment puts in this one's place; none does where one with the prompt, or a rollout of it,
    has taken the call: it would take calls of one arm only, where the arms' models differ.
    """
    if call.enrolment is not None or call.placement is not None:
        return alias
    taken = _enrolled(call, running, alias)
    return alias if taken is None else taken.variant.model or alias


def _enrolled(call: Call, running: Running, subject: str) -> Enrolment | None:
    """The first of the subject's experiments that takes the call."""
    experiments = running.get(subject)
    if experiments is None:
        return None
    grant = call.grant
    assert grant is not None
    seen = Seen(call.call_id, call.unit, call.tags, grant.name)
    holdout_bp = call.world.snapshot.policy.holdout_bp
    for experiment in experiments:
        taken = enrol(experiment, seen, holdout_bp)
        if taken is not None:
            if call.endpoint.name != COUNTING:  # it follows its variant, and is no use of it to be judged by
                call.enrolment = taken
            return taken
    return None


def _fields(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        if not body.isascii():
            body.decode()  # raw fields would pass on bytes that are no UTF-8 (RFC 8259, 8.1)
        return _FIELDS.decode(body)
    except msgspec.ValidationError as error:
        raise Invalid(
            "The body is not a JSON object.", mend='Send {"model": ..., ...}.', code="invalid_json"
        ) from error
    except UNREADABLE as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Invalid(f"The body is not JSON: {why}.", mend="Send one JSON object.", code="invalid_json") from error


def _decoded(payload: dict[str, msgspec.Raw], field: str, decoder: "msgspec.json.Decoder[T]", what: str) -> T:
    raw = payload.get(field)
    if raw is None:
        raise Invalid(
            f"The field `{field}` is missing.", mend="Add it.", param=field, code="missing_required_parameter"
        )
    return _decode(raw, field, decoder, what)


def _decode(raw: msgspec.Raw, field: str, decoder: "msgspec.json.Decoder[T]", what: str) -> T:
    try:
        return decoder.decode(raw)
    except UNREADABLE as error:
        raise Invalid(
            f"The field `{field}` must be {what}.",
            mend=f"It was {bytes(raw)[:60].decode(errors='replace')}.",
            param=field,
            code="invalid_type",
        ) from error


def _stream(call: Call) -> None:
    raw = call.payload.get("stream")
    if raw is None:
        return
    call.stream = bool(_decode(raw, "stream", _FLAG, "true or false"))
    if call.stream and "stream_options" in call.payload:
        options = _decode(call.payload["stream_options"], "stream_options", _OPTIONS, "an object")
        call.usage_wanted = bool(options and options.get("include_usage"))


def _unit(call: Call) -> None:
    """Who is served, for sticky assignment: the header x-tidegate-unit, else the body's `user`."""
    header = call.request.headers.get(b"x-tidegate-unit")
    if header:
        call.unit = header.decode("latin-1")[:MAX_NAME]
    elif "user" in call.payload:
        user = _decode(call.payload["user"], "user", _OPTIONAL_TEXT, "a string")
        call.unit = user[:MAX_NAME] if user else None


def _not_allowed(call: Call, kind: str, name: str, names: tuple[str, ...]) -> Forbidden:
    key = call.grant.name if call.grant else ""
    return Forbidden(
        f"The key {key!r} may not use the {kind} {name!r}.",
        mend=f"It may use: {', '.join(names)}.",
        code=f"{kind}_not_allowed",
        param="model",
    )


def _weave(call: Call, version: PromptVersion, compiled: CompiledPrompt, variables: dict[str, object]) -> None:
    """Rendered messages first, then the client's own; the version's settings over the client's, which are named in a
    header.
    """
    payload = call.payload
    rendered = compiled.render(variables)
    overridden = []
    if call.endpoint.name == "chat.completions":
        messages: list[object] = [*(rendered.messages or ())] or [{"role": "user", "content": rendered.text}]
        if "messages" in payload:
            own = _decode(payload["messages"], "messages", _LIST, "an array")
            messages.extend(own)
        payload["messages"] = _raw(messages)
    elif call.endpoint.name == "completions" and rendered.text is not None:
        if "prompt" in payload:
            overridden.append("prompt")
        payload["prompt"] = _raw(rendered.text)
    else:
        made = "chat messages" if rendered.text is None else "text"
        raise Invalid(
            f"The prompt {version.name!r} is made of {made}, which {call.endpoint.path} does not take.",
            mend="Call /v1/chat/completions.",
            param="model",
            code="prompt_kind",
        )
    for field, value in version.sampling.items():
        if field in payload and _differs(payload[field], value):
            overridden.append(field)
        payload[field] = _raw(value)
    call.overridden = tuple(overridden)


def _differs(raw: msgspec.Raw, value: object) -> bool:
    try:
        return bool(msgspec.json.decode(raw) != value)
    except UNREADABLE:
        return True


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))

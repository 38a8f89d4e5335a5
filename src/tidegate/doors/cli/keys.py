"""`tidegate keys`: virtual keys, which open the gateway."""

import os
import re
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from tidegate.app.notifiers import notifier_key
from tidegate.control.identity.model import CreatedKey, KeyInfo, KeySpec
from tidegate.control.releases.model import Release
from tidegate.doors.cli.options import Environment, Json, Server, Workspace, group, settings_of
from tidegate.doors.cli.output import ago, clean, date_text, now_ms, print_json, print_table, say
from tidegate.doors.cli.remote import Remote, connect, part
from tidegate.kernel.errors import Invalid, NotFound
from tidegate.settings import read_key

__all__ = ["app", "parse_ttl"]

app = group("Create, list, expire and revoke API keys.")

_TTL = re.compile(r"^([0-9]+)(s|m|h|d|w)$")
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
Many = list[str] | None


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    environment: Environment = "production",
    scope: Annotated[Many, typer.Option("--scope", help="inference, prompts; repeat it. [default: inference]")] = None,
    model: Annotated[Many, typer.Option("--model", help="A model it may use; repeat it. [default: all]")] = None,
    prompt: Annotated[Many, typer.Option("--prompt", help="A prompt it may use; repeat it. [default: all]")] = None,
    tag: Annotated[Many, typer.Option("--tag", metavar="K=V", help="A tag on its calls; repeat it.")] = None,
    region: Annotated[
        Many, typer.Option("--region", help="A region that its data may go to; repeat it. [default: all]")
    ] = None,
    ttl: Annotated[str | None, typer.Option("--ttl", help="How long it lives: 90s, 15m, 12h, 30d, 4w.")] = None,
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Create a key. Its secret is printed this once and stored nowhere."""
    spec = KeySpec(
        name=name,
        environment=environment,
        scopes=tuple(scope or ("inference",)),
        models=tuple(model or ()),
        prompts=tuple(prompt or ()),
        tags=dict(_pair(one) for one in tag or ()),
        regions=tuple(region or ()),
        ttl_s=parse_ttl(ttl) if ttl is not None else None,
    )
    remote = connect(workspace, server)
    created = remote.post("/keys", CreatedKey, spec)
    if as_json:
        print_json(created)
        return
    key = created.key
    say(created.secret)
    say()
    say("This is the only time that the key is shown: keep it where secrets are kept.")
    say(f"It opens {key.environment} for {', '.join(key.scopes)} and " + _ends(key) + ".")
    if key.regions:
        say(f"Its calls reach models of {', '.join(key.regions)} only, never one without a region.")
    if "inference" in key.scopes:
        say()
        say(_example(created, *_something(remote, key), _gateway(workspace)))


@app.command("list")
def list_keys(workspace: Workspace = None, server: Server = None, as_json: Json = False) -> None:
    """List every key, dead ones too, newest first."""
    keys = connect(workspace, server).get("/keys", list[KeyInfo])
    if as_json:
        print_json(keys)
        return
    now = now_ms()
    print_table(
        ("NAME", "KEY", "ENV", "STATE", "CREATED", "EXPIRES", "MAY USE"),
        (
            (
                key.name,
                key.prefix,
                key.environment,
                key.state(now),
                ago(key.created_at_ms),
                ago(key.expires_at_ms),
                _may(key),
            )
            for key in keys
        ),
        empty="There are no keys. Create one: `tidegate keys create NAME`.",
    )


@app.command()
def show(
    key: Annotated[str, typer.Argument(help="The key's name or id.")],
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Print everything that is known of one key; never its secret."""
    keys = connect(workspace, server).get("/keys", list[KeyInfo])
    found = next((one for one in keys if key in (one.name, one.key_id)), None)
    if found is None:
        raise NotFound("key", key, known=[one.name for one in keys], code="key_not_found")
    if as_json:
        print_json(found)
        return
    for name, value in (
        ("name", found.name),
        ("id", found.key_id),
        ("key", found.prefix),
        ("state", found.state(now_ms())),
        ("environment", found.environment),
        ("scopes", ", ".join(found.scopes)),
        ("models", ", ".join(found.models) or "all"),
        ("prompts", ", ".join(found.prompts) or "all"),
        ("regions", ", ".join(found.regions) or "all"),
        ("tags", _tags(found)),
        ("created", f"{date_text(found.created_at_ms)} by {found.created_by}"),
        ("expires", date_text(found.expires_at_ms)),
        ("revoked", date_text(found.revoked_at_ms)),
    ):
        say(f"{name:<12} {clean(value)}")


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="The key's name or id.")],
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Stop a key at once and for ever."""
    found = connect(workspace, server).post(f"/keys/{part(key)}/revoke", KeyInfo)
    if as_json:
        print_json(found)
        return
    say(f"{found.name} ({found.prefix}) is revoked: every gateway refuses it from now on.")


@app.command()
def expire(
    key: Annotated[str, typer.Argument(help="The key's name or id.")],
    within: Annotated[str, typer.Option("--in", metavar="TIME", help="90s, 15m, 12h, 30d, 4w, now, never.")] = "now",
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Let a key end at a time, or never."""
    seconds = 0 if within == "now" else None if within == "never" else parse_ttl(within)
    at_ms = None if seconds is None else now_ms() + round(seconds * 1000)
    found = connect(workspace, server).post(f"/keys/{part(key)}/expire", KeyInfo, {"expires_at_ms": at_ms})
    if as_json:
        print_json(found)
        return
    say(f"{found.name} ({found.prefix}) {_ends(found)}.")


@app.command()
def webhook(
    notifier: Annotated[str, typer.Argument(help="A notifier's name in tidegate.yaml.")], workspace: Workspace = None
) -> None:
    """Print the key that signs a notifier's webhooks, for its receiver to check them with."""
    say(notifier_key(read_key(settings_of(workspace), os.environ, "master_key"), notifier))


def parse_ttl(text: str) -> int:
    """Seconds of `90s`, `15m`, `12h`, `30d`, `4w`; raises Invalid."""
    match = _TTL.match(text.strip())
    if match is None:
        raise Invalid(f"{text!r} is no length of time.", mend="Write 90s, 15m, 12h, 30d or 4w.", code="invalid_ttl")
    return int(match[1]) * _UNITS_S[match[2]]


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise Invalid(f"{text!r} is no tag.", mend="Write --tag NAME=VALUE.", code="invalid_tags")
    return name, value


def _ends(key: KeyInfo) -> str:
    if key.expires_at_ms is None:
        return "does not expire"
    return f"expires {ago(key.expires_at_ms)} ({date_text(key.expires_at_ms)})"


def _may(key: KeyInfo) -> str:
    parts = [f"models {', '.join(key.models)}"] if key.models else []
    parts += [f"prompts {', '.join(key.prompts)}"] if key.prompts else []
    parts += [f"regions {', '.join(key.regions)}"] if key.regions else []
    return "; ".join(parts) or "everything"


def _tags(key: KeyInfo) -> str:
    return ", ".join(f"{name}={value}" for name, value in key.tags.items()) or "-"


def _something(remote: Remote, key: KeyInfo) -> tuple[str, dict[str, str]]:
    """A model that the key may ask for, and the variables that it needs, to show in the example."""
    live = remote.get("/releases", list[Release], environment=key.environment)
    for one in live:
        if one.version is not None and one.prompt in (key.prompts or (one.prompt,)):
            path = f"/prompts/{part(one.prompt)}/{part(one.version)}"
            required = remote.get(path, dict[str, Any])["params"].get("required", ())
            return f"prompt:{one.prompt}", {str(name): "..." for name in required}
    if key.prompts:
        return f"prompt:{key.prompts[0]}", {}
    return (key.models[0] if key.models else "MODEL"), {}


def _gateway(workspace: Path | None) -> str:
    try:
        return settings_of(workspace).gateway_url
    except NotFound:
        return "http://GATEWAY:8080"


def _example(created: CreatedKey, model: str, variables: dict[str, str], gateway: str) -> str:
    asked: dict[str, object] = {"messages": [{"role": "user", "content": "Hello"}]}
    if model.startswith("prompt:"):
        asked = {"variables": variables}
    body = msgspec.json.encode({"model": model, **asked}).decode().replace("'", "\\u0027")
    return "\n".join(
        (
            f"  curl {gateway}/v1/chat/completions \\",
            f"    -H 'Authorization: Bearer {created.secret}' \\",
            "    -H 'Content-Type: application/json' \\",
            f"    -d '{clean(body)}'",
        )
    )

"""Asking a running gateway, one request at a time."""

from typing import Any

from tests.support.gateway import RunningGateway
from tests.support.http1 import Reply, Wire, get, post
from tests.support.scene import CHAT

__all__ = ["ask", "ask_chat", "fetch"]


def ask(
    gateway: RunningGateway, path: str, body: object, *, key: str | None = "sk-test", headers: tuple[str, ...] = ()
) -> Reply:
    """POST a body, and read the reply."""
    with Wire(gateway.port) as wire:
        return wire.ask(post(path, body, key=key, headers=headers))


def ask_chat(
    gateway: RunningGateway, key: str | None = "sk-test", headers: tuple[str, ...] = (), **fields: Any
) -> Reply:
    """Ask for a chat answer; `fields` change the body, None takes a field out."""
    body = {name: value for name, value in {**CHAT, **fields}.items() if value is not None}
    return ask(gateway, "/v1/chat/completions", body, key=key, headers=headers)


def fetch(gateway: RunningGateway, path: str, *, key: str | None = "sk-test", headers: tuple[str, ...] = ()) -> Reply:
    """GET a path."""
    with Wire(gateway.port) as wire:
        return wire.ask(get(path, key=key, headers=headers))

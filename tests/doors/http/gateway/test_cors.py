"""What a browser asks before a page may call the gateway, and what it is told."""

from tests.support.gateway import RunningGateway
from tests.support.http1 import Reply, Wire, get, post
from tests.support.scene import CHAT, Start, changed, snapshot_of
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import answer, chat, chat_events, stream

PATH = "/v1/chat/completions"
PAGE = "https://app.example"


def preflight(gateway: RunningGateway, origin: str, headers: str = "authorization,content-type") -> Reply:
    lines = (
        f"OPTIONS {PATH} HTTP/1.1\r\nhost: gateway\r\norigin: {origin}\r\n"
        f"access-control-request-method: POST\r\naccess-control-request-headers: {headers}\r\n\r\n"
    )
    with Wire(gateway.port) as wire:
        return wire.ask(lines.encode())


def asked(gateway: RunningGateway, request: bytes) -> Reply:
    with Wire(gateway.port) as wire:
        return wire.ask(request)


def from_page(origin: str, body: object = CHAT) -> bytes:
    return post(PATH, body).replace(b"\r\n", f"\r\norigin: {origin}\r\n".encode(), 1)


def told(reply: Reply) -> dict[str, str]:
    return {name: value for name, value in reply.headers.items() if name.startswith("access-control-")}


def test_off_by_default_nothing_is_said(gateway: RunningGateway) -> None:
    reply = asked(gateway, from_page(PAGE))
    assert (reply.status, told(reply), "vary" in reply.headers) == (200, {}, False)
    assert (preflight(gateway, PAGE).status, told(preflight(gateway, PAGE))) == (404, {})


def test_a_preflight_needs_no_key_and_grants_what_is_on_the_list(start: Start) -> None:
    gateway = start(policy_cors_origins=(PAGE,))
    reply = preflight(gateway, PAGE, "Authorization, content-type,idempotency-key,x-stainless-os,cookie,x-evil")
    assert reply.status == 200
    assert told(reply) == {
        "access-control-allow-origin": PAGE,
        "access-control-allow-methods": "GET, HEAD, POST",
        "access-control-allow-headers": "authorization, content-type, idempotency-key, x-stainless-os",
        "access-control-max-age": "600",
    }
    assert reply.headers["vary"] == "origin"
    assert gateway.records.stored == [], "a browser's question is no call"


def test_anthropic_s_client_in_a_page_may_send_its_headers(start: Start) -> None:
    wanted = "anthropic-beta, anthropic-dangerous-direct-browser-access, anthropic-version, x-api-key"
    reply = preflight(start(policy_cors_origins=(PAGE,)), PAGE, wanted)
    assert reply.headers["access-control-allow-headers"] == wanted


def test_a_page_may_read_the_answer_and_the_gateway_s_headers(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(policy_cors_origins=(PAGE,))
    upstream.say(answer(chat("Hello")), stream(chat_events(("a", "b"))))
    for body in (CHAT, {**CHAT, "stream": True}):
        reply = asked(gateway, from_page(PAGE, body))
        assert (reply.status, reply.headers["access-control-allow-origin"]) == (200, PAGE)
        assert "x-request-id" in reply.headers["access-control-expose-headers"].split(", ")
        assert set(told(reply)) == {"access-control-allow-origin", "access-control-expose-headers"}
        assert reply.headers["vary"] == "origin"


def test_a_refusal_can_be_read_by_the_page_too(start: Start) -> None:
    gateway = start(policy_cors_origins=(PAGE,))
    reply = asked(gateway, from_page(PAGE).replace(b"sk-test", b"sk-none"))
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (401, PAGE)


def test_another_origin_has_no_leave(start: Start) -> None:
    gateway = start(policy_cors_origins=(PAGE,))
    for origin in ("https://app.example.evil", "http://app.example", "https://app.example:8443", "null"):
        refused = preflight(gateway, origin)
        assert (refused.status, told(refused), refused.headers["vary"]) == (403, {}, "origin")
        assert refused.json["error"]["code"] == "origin_not_allowed"
        reply = asked(gateway, from_page(origin))
        assert (told(reply), reply.headers["vary"]) == ({}, "origin")


def test_a_star_is_for_every_page_and_never_with_credentials(start: Start) -> None:
    gateway = start(policy_cors_origins=("*",))
    for reply in (preflight(gateway, "https://any.example"), asked(gateway, from_page("https://any.example"))):
        assert reply.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in reply.headers


def test_no_page_may_read_what_is_for_operators(start: Start) -> None:
    gateway = start(policy_cors_origins=("*",))
    for path in ("/metrics", "/readyz", "/healthz"):
        reply = asked(gateway, get(path).replace(b"\r\n", b"\r\norigin: https://any.example\r\n", 1))
        assert (reply.status, told(reply)) == (200, {})


def test_a_change_holds_from_the_next_request_on(start: Start, upstream: ScriptedUpstream) -> None:
    world = snapshot_of(upstream.url)
    gateway = start(world)
    with Wire(gateway.port) as wire:
        assert told(wire.ask(from_page(PAGE))) == {}
        on = changed(world, policy_cors_origins=(PAGE,))
        gateway.push(on)
        assert told(wire.ask(from_page(PAGE)))["access-control-allow-origin"] == PAGE
        gateway.push(changed(on, policy_cors_origins=()))
        assert told(wire.ask(from_page(PAGE))) == {}

"""What one key can learn of what is another's: nothing by lists, errors, headers or the answers of others' calls."""

import threading

from tests.support.gateway import RunningGateway
from tests.support.http1 import Reply, Wire, get, post
from tests.support.scene import CHAT, Start, changed, snapshot_of
from tests.support.upstream import Received, ScriptedUpstream
from tests.support.wire import Step, answer, chat
from tidegate.live.snapshot import KeyGrant, secret_hash

PATH = "/v1/chat/completions"
OTHERS = ("embed", "other", "line", "up-model", "other-model", "127.0.0.1")
MAY = KeyGrant(key_id="key_a", name="a", models=("gpt",), prompts=("greeting",), scopes=("inference", "prompts"))


def narrow(start: Start, upstream: ScriptedUpstream) -> RunningGateway:
    """A gateway with a key that may use one model and one prompt."""
    world = snapshot_of(upstream.url)
    return start(changed(world, keys={**world.keys, secret_hash("sk-a"): MAY}))


def asked(gateway: RunningGateway, model: str, key: str = "sk-a") -> Reply:
    with Wire(gateway.port) as wire:
        return wire.ask(post(PATH, {**CHAT, "model": model}, key=key))


def test_lists_show_what_the_key_may_use(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = narrow(start, upstream)
    with Wire(gateway.port) as wire:
        shown = [wire.ask(get(path, key="sk-a")).body.decode() for path in ("/v1/models", "/v1/prompts")]
    assert "gpt" in shown[0]
    assert "greeting" in shown[1]
    assert [name for name in OTHERS for text in shown if f'"{name}' in text or f":{name}" in text] == []


def test_what_is_another_s_looks_as_what_there_is_not(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = narrow(start, upstream)
    for there, nowhere in (("embed", "embedded"), ("other", "another"), ("prompt:line", "prompt:lines")):
        refused, unknown = asked(gateway, there), asked(gateway, nowhere)
        assert refused.status == unknown.status
        assert refused.error["code"] == unknown.error["code"]
        assert refused.error["message"].replace(there.removeprefix("prompt:"), "X") == unknown.error["message"].replace(
            nowhere.removeprefix("prompt:"), "X"
        )
        assert refused.headers.keys() == unknown.headers.keys()
    assert upstream.received == []


def test_each_of_many_at_once_gets_its_own_answer(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = narrow(start, upstream)

    def echoed(received: Received) -> list[Step]:
        return list(answer(chat(received.json["messages"][0]["content"])))

    upstream.respond = echoed
    wrong: list[str] = []

    def ask(key: str, name: str) -> None:
        with Wire(gateway.port) as wire:
            for number in range(40):
                said = f"{name} says {number}"
                reply = wire.ask(post(PATH, {**CHAT, "messages": [{"role": "user", "content": said}]}, key=key))
                if reply.json["choices"][0]["message"]["content"] != said:
                    wrong.append(said)

    threads = [threading.Thread(target=ask, args=(key, f"{key}-{n}")) for key in ("sk-a", "sk-test") for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert wrong == []
    assert len(upstream.received) == 320  # no answer came from anywhere but the upstream


def test_an_answer_says_nothing_of_the_upstream(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = narrow(start, upstream)
    secrets = (("Set-Cookie", "theirs=1"), ("Server", "vllm/0.9"), ("X-Internal-Host", "gpu-7"), ("Via", "1.1 them"))
    upstream.say(answer(chat(), headers=secrets), answer({"error": {"message": "no"}}, 401, headers=secrets))
    for status in (200, 502):
        reply = asked(gateway, "gpt")
        assert reply.status == status
        assert not {"set-cookie", "server", "x-internal-host", "via"} & reply.headers.keys()

"""The API as its users walk it: keys, users, prompts, releases, calls, configuration, audit."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.support.control import ADMIN_TOKEN, CONFIG, admin_headers
from tidegate.adapters.sqlite.records import SqliteRecords
from tidegate.app.control import Control
from tidegate.doors.http.control.routes import BASE
from tidegate.live.calls import CallRecord
from tidegate.live.snapshot import secret_hash

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def records(control: Control) -> AsyncIterator[SqliteRecords]:
    opened = SqliteRecords(control.settings.calls_db_file)
    yield opened
    await opened.close()


async def test_a_key_is_shown_once_and_ends_when_it_is_told_to(admin: httpx.AsyncClient, control: Control) -> None:
    body = {"name": "app", "prompts": ["greeting"], "tags": {"team": "web"}, "ttl_s": 3600}
    made = await admin.post(f"{BASE}/keys", json=body)
    assert made.status_code == 201
    secret, key = made.json()["secret"], made.json()["key"]
    assert secret.startswith("tg-")
    assert key["expires_at_ms"] - key["created_at_ms"] == 3_600_000
    listed = await admin.get(f"{BASE}/keys")
    assert [one["name"] for one in listed.json()] == ["app"]
    assert secret not in listed.text
    assert secret_hash(secret) not in listed.text
    assert (await admin.post(f"{BASE}/keys", json=body)).status_code == 409
    later = await admin.post(f"{BASE}/keys/app/expire", json={"expires_at_ms": None})
    assert later.json()["expires_at_ms"] is None
    revoked = await admin.post(f"{BASE}/keys/{key['key_id']}/revoke")
    assert revoked.status_code == 200
    assert revoked.json()["revoked_at_ms"] is not None
    missing = await admin.post(f"{BASE}/keys/ap/revoke")
    assert missing.status_code == 404
    assert "app" in missing.json()["error"]["mend"]


async def test_a_user_comes_in_with_a_token_until_it_is_taken(
    admin: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    made = await admin.post(f"{BASE}/users", json={"name": "dora", "roles": ["deployer"]})
    assert made.status_code == 201
    hers = admin_headers(made.json()["token"])
    assert (await client.get(f"{BASE}/whoami", headers=hers)).json()["roles"] == ["deployer"]
    assert (await client.get(f"{BASE}/keys", headers=hers)).status_code == 403
    changed = await admin.post(f"{BASE}/users/dora/roles", json={"roles": ["admin"]})
    assert changed.json()["roles"] == ["admin"]
    assert (await client.get(f"{BASE}/keys", headers=hers)).status_code == 200
    second = (await admin.post(f"{BASE}/users/dora/tokens")).json()["token"]
    tokens = (await admin.get(f"{BASE}/users/dora/tokens")).json()
    assert [one["prefix"][:7] for one in tokens] == [made.json()["token"][:7], second[:7]]
    assert (await admin.post(f"{BASE}/tokens/{tokens[0]['token_id']}/revoke")).status_code == 200
    refused = await client.get(f"{BASE}/whoami", headers=hers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "token_revoked")
    assert (await admin.post(f"{BASE}/users/dora/disable")).json()["disabled_at_ms"] is not None
    gone = await client.get(f"{BASE}/whoami", headers=admin_headers(second))
    assert gone.json()["error"]["code"] == "user_disabled"
    last = await admin.post(f"{BASE}/users/admin/disable")
    assert last.status_code == 409


async def test_prompts_are_listed_shown_compared_and_traced(admin: httpx.AsyncClient) -> None:
    listing = (await admin.get(f"{BASE}/prompts")).json()
    assert [one["name"] for one in listing["prompts"]] == ["farewell", "greeting"]
    one = (await admin.get(f"{BASE}/prompts/greeting")).json()
    assert [version["version"] for version in one["versions"]] == ["1.2.0", "1.1.0", "1.0.0"]
    version = (await admin.get(f"{BASE}/prompts/greeting/1.1.0")).json()
    assert version["messages"][0]["content"].startswith("Hello")
    assert version["sampling"] == {"max_tokens": 16}
    diff = (await admin.get(f"{BASE}/prompts/greeting/diff", params={"a": "1.0.0", "b": "1.1.0"})).json()
    assert (diff["a"], diff["b"]) == ("1.0.0", "1.1.0")
    assert "+Hello {{ who }}, this is 1.1.0." in diff["texts"][0]["unified"]
    history = (await admin.get(f"{BASE}/prompts/greeting/history")).json()
    assert len(history["commits"]) == 3
    missing = await admin.get(f"{BASE}/prompts/greting")
    assert missing.status_code == 404
    assert "greeting" in missing.json()["error"]["mend"]
    assert (await admin.get(f"{BASE}/prompts/greeting/1.0")).status_code == 400
    assert (await admin.get(f"{BASE}/prompts/greeting/diff")).status_code == 400


async def test_a_release_goes_out_and_comes_back(admin: httpx.AsyncClient) -> None:
    order = {"prompt": "greeting", "version": "1.0.0", "environment": "production"}
    first = await admin.post(f"{BASE}/releases", json=order)
    assert (first.status_code, first.json()["number"]) == (201, 1)
    second = await admin.post(f"{BASE}/releases", json=order | {"version": "1.1.0", "reason": "friendlier"})
    assert second.json()["previous_version"] == "1.0.0"
    again = await admin.post(f"{BASE}/releases", json=order | {"version": "1.1.0"})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "already_live")
    status = (await admin.get(f"{BASE}/releases", params={"environment": "production"})).json()
    assert [(one["prompt"], one["arms"]) for one in status] == [
        ("greeting", [{"version": "1.1.0", "weight_bp": 10000, "name": "", "model": None}])
    ]
    back = await admin.post(f"{BASE}/releases/production/greeting/rollback", json={"reason": "worse"})
    assert (back.status_code, back.json()["arms"][0]["version"]) == (201, "1.0.0")
    line = (await admin.get(f"{BASE}/releases/production/greeting", params={"limit": 2})).json()
    assert [(one["number"], one["kind"]) for one in line] == [(3, "rollback"), (2, "deploy")]
    out = await admin.post(f"{BASE}/releases/production/greeting/withdraw", json={})
    assert out.json()["arms"] == []
    nothing = await admin.post(f"{BASE}/releases/production/greeting/rollback", json={})
    assert (nothing.status_code, nothing.json()["error"]["code"]) == (409, "nothing_live")


async def test_calls_are_listed_followed_and_shown(admin: httpx.AsyncClient, records: SqliteRecords) -> None:
    def call(seq: int) -> CallRecord:
        return CallRecord(
            call_id=f"call_{seq:032x}", gateway_id="gw_1", seq=seq, started_at_ms=1_700_000_000_000 + seq,
            endpoint="chat.completions", status=200, ending="complete", latency_ms=1.5, prompt="greeting",
        )  # fmt: skip

    await records.append([call(1), call(2)])
    page = (await admin.get(f"{BASE}/calls", params={"prompt": "greeting"})).json()
    assert [one["seq"] for one in page["calls"]] == [1, 2]
    await records.append([call(3), call(6)])
    after = (await admin.get(f"{BASE}/calls", params={"cursor": page["cursor"]})).json()
    assert [one["seq"] for one in after["calls"]] == []  # long ago: the follower's hour is over
    newest = (await admin.get(f"{BASE}/calls", params={"limit": 2, "after": 1_700_000_000_000})).json()
    assert [one["seq"] for one in newest["calls"]] == [3, 6]
    shown = await admin.get(f"{BASE}/calls/{call(3).call_id}")
    assert shown.json()["cost_nano_usd"] is None
    assert (await admin.get(f"{BASE}/calls/call_none")).status_code == 404
    lost = (await admin.get(f"{BASE}/calls/gaps", params={"since": 0})).json()
    assert [(one["first"], one["last"]) for one in lost] == [(4, 5)]


async def test_a_configuration_is_shown_and_applied_whole_or_not_at_all(admin: httpx.AsyncClient) -> None:
    held = (await admin.get(f"{BASE}/config")).json()
    assert (held["revision"], held["actor"], held["text"]) == (1, "system", CONFIG)
    same = (await admin.put(f"{BASE}/config", json={"text": CONFIG})).json()
    assert (same["revision"], same["changes"]) == (1, [])
    text = CONFIG + "policies: {drain_timeout_s: 7}\n"
    done = (await admin.put(f"{BASE}/config", json={"text": text})).json()
    assert done["revision"] == 2
    assert any("drain_timeout_s" in line for line in done["changes"])
    bad = await admin.put(f"{BASE}/config", json={"text": "models: [", "file": "other.yaml"})
    assert bad.status_code == 400
    assert "other.yaml" in bad.json()["error"]["message"]
    assert (await admin.get(f"{BASE}/config")).json()["revision"] == 2


async def test_the_audit_tells_who_changed_what(admin: httpx.AsyncClient) -> None:
    rows = (await admin.get(f"{BASE}/audit", params={"limit": 1000})).json()
    actions = {row["action"] for row in rows}
    assert {"key.create", "key.revoke", "user.create", "token.issue", "config.apply", "release.deploy"} <= actions
    assert [row["audit_id"] for row in rows] == list(range(len(rows), 0, -1))
    some = (await admin.get(f"{BASE}/audit", params={"subject": "release/", "limit": 2})).json()
    assert [row["action"] for row in some] == ["release.withdraw", "release.rollback"]
    older = (await admin.get(f"{BASE}/audit", params={"before": some[-1]["audit_id"], "subject": "release/"})).json()
    assert older[0]["action"] == "release.deploy"


async def test_machines_ask_without_a_token(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "alive"}
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    assert {"database", "schema", "snapshot", "leader", "outbox", "prompts", "calls"} <= set(ready.json()["parts"])
    metrics = await client.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    for line in (
        'tidegate_control_requests_total{method="GET",route="/api/v1/prompts/{name}",status="404"} 1.0',
        "tidegate_control_database_up 1.0",
        "tidegate_gateways 0.0",
    ):
        assert line in metrics.text
    assert "greting" not in metrics.text


async def test_no_answer_and_no_log_holds_a_token(
    admin: httpx.AsyncClient, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    for path in ("/readyz", "/metrics", f"{BASE}/audit", f"{BASE}/users", f"{BASE}/schema", f"{BASE}/config"):
        assert ADMIN_TOKEN not in (await admin.get(path)).text
    assert (await client.get(f"{BASE}/keys", headers=admin_headers("tgt-wrong"))).status_code == 401
    assert ADMIN_TOKEN not in caplog.text
    assert "tgt-wrong" not in caplog.text

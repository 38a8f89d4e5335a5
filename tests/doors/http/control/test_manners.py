"""How the door answers what is wrong: typed errors, whatever the request looks like."""

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.control import ADMIN_TOKEN
from tidegate.app.control import Control
from tidegate.doors.http.control.application import MAX_BODY_BYTES
from tidegate.doors.http.control.routes import BASE
from tidegate.kernel.errors import Unavailable

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"content-type": "application/json"}


def error_of(answer: httpx.Response) -> dict[str, str]:
    assert answer.headers["content-type"].startswith("application/json")
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "mend", "param"}
    return dict(body["error"])


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        (f"{BASE}/key", f"{BASE}/keys"),
        (f"{BASE}/releases/production/greeting/rolback", f"{BASE}/releases/production/greeting/rollback"),
        ("/readz", "/readyz"),
        ("/api/v2/keys", f"{BASE}/keys"),
    ],
)
async def test_an_unknown_path_is_answered_with_the_nearest(admin: httpx.AsyncClient, path: str, nearest: str) -> None:
    answer = await admin.get(path)
    assert answer.status_code == 404
    error = error_of(answer)
    assert error["code"] == "path_not_found"
    assert nearest in error["mend"]


async def test_an_unknown_path_tells_nothing_more_without_a_token(client: httpx.AsyncClient) -> None:
    assert (await client.get("/etc/passwd")).status_code == 404


async def test_a_wrong_method_is_told_which_are_right(admin: httpx.AsyncClient) -> None:
    answer = await admin.delete(f"{BASE}/keys")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST"
    assert error_of(answer)["code"] == "method_not_allowed"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_only_json_is_taken(admin: httpx.AsyncClient, kind: str) -> None:
    answer = await admin.post(f"{BASE}/keys", content=b'{"name": "x"}', headers={"content-type": kind})
    assert answer.status_code == 415
    assert error_of(answer)["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "body"),
        (b"", "body"),
        (b"[]", "object"),
        (b'{"nam": "x"}', "nam"),
        (b'{"name": 7}', "name"),
        (b'{"name": "x", "scopes": "inference"}', "scopes"),
        (b"\xff\xfe", "body"),
        (b"[" * 5000, "body"),
    ],
)
async def test_a_body_that_does_not_fit_is_told_where(admin: httpx.AsyncClient, body: bytes, said: str) -> None:
    answer = await admin.post(f"{BASE}/keys", content=body, headers=JSON)
    assert answer.status_code == 400
    error = error_of(answer)
    assert error["code"] == "invalid_request"
    assert said in (error["message"] + str(error["param"])).lower()


async def test_a_body_that_is_too_large_is_refused(admin: httpx.AsyncClient) -> None:
    big = b'{"text": "' + b"x" * MAX_BODY_BYTES + b'"}'
    answer = await admin.put(f"{BASE}/config", content=big, headers=JSON)
    assert answer.status_code == 413
    assert error_of(answer)["code"] == "request_too_large"


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "after=yesterday", "ending=exploded", "cursor=zzz"]
)
async def test_a_query_that_does_not_fit_is_told(admin: httpx.AsyncClient, query: str) -> None:
    answer = await admin.get(f"{BASE}/calls?{query}")
    assert answer.status_code == 400
    error = error_of(answer)
    assert query.partition("=")[0] in (error["message"] + str(error["param"]))


@pytest.mark.parametrize("asked", ["audit?before={}", "calls?after={}", "calls?before={}", "calls/gaps?since={}"])
@pytest.mark.parametrize("number", ["9" * 30, "-" + "9" * 30, str(2**63), "0x10"])
async def test_a_number_that_no_database_holds_is_told(admin: httpx.AsyncClient, asked: str, number: str) -> None:
    answer = await admin.get(f"{BASE}/{asked.format(number)}")
    assert answer.status_code == 400, answer.text
    assert error_of(answer)["param"] == asked.partition("?")[2].partition("=")[0]


@pytest.mark.parametrize("asked", ["calls/%00", "audit?subject=%00", "calls?key=a&prompt=x%00", "budgets/a%00b"])
async def test_a_nul_is_in_no_name(admin: httpx.AsyncClient, asked: str) -> None:
    answer = await admin.get(f"{BASE}/{asked}")
    assert answer.status_code == 400, answer.text
    assert "NUL" in error_of(answer)["message"]


async def test_a_database_that_is_away_is_503_and_nothing_secret_is_told(
    admin: httpx.AsyncClient, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(token: str) -> None:
        raise Unavailable("The database is away.", mend="Wait.", code="database_unavailable")

    monkeypatch.setattr(control.identity, "authenticate", away)
    answer = await admin.get(f"{BASE}/keys")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert error_of(answer)["code"] == "database_unavailable"


async def test_a_bug_is_500_without_its_traceback(
    admin: httpx.AsyncClient, control: Control, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*arguments: object) -> None:
        raise KeyError("secret-detail")

    monkeypatch.setattr(control.identity, "list_keys", broken)
    answer = await admin.get(f"{BASE}/keys")
    assert answer.status_code == 500
    assert error_of(answer)["code"] == "internal_error"
    assert "secret-detail" not in answer.text
    assert "secret-detail" in caplog.text
    assert ADMIN_TOKEN not in caplog.text


async def test_nothing_is_cached_and_no_other_origin_is_let_in(
    admin: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    for who, path, status in ((admin, "keys", 200), (admin, "calls/none", 404), (client, "keys", 401)):
        answer = await who.get(f"{BASE}/{path}", headers={"origin": "https://evil.example"})
        assert answer.status_code == status
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in answer.headers
    preflight = await admin.options(
        f"{BASE}/keys", headers={"origin": "https://evil.example", "access-control-request-method": "POST"}
    )
    assert "access-control-allow-origin" not in preflight.headers


async def test_the_host_header_changes_nothing(admin: httpx.AsyncClient) -> None:
    for host in ("evil.example", "127.0.0.1:1", "[::1]"):
        answer = await admin.get(f"{BASE}/whoami", headers={"host": host})
        assert answer.json()["name"] == "admin"


PARTS = st.text(
    st.characters(codec="utf-8", exclude_characters="/?#", exclude_categories=["Cc"]), min_size=1, max_size=30
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PARTS, PARTS)
async def test_no_name_in_a_path_breaks_anything(admin: httpx.AsyncClient, one: str, other: str) -> None:
    for path in ("/prompts/{0}", "/prompts/{0}/{1}", "/releases/{0}/{1}", "/calls/{0}", "/users/{0}/tokens"):
        url = httpx.URL("http://control.test", path=f"{BASE}{path.format(one, other)}")
        answer = await admin.get(url)
        assert answer.status_code in (200, 400, 404, 405), answer.text
        if answer.status_code != 200:
            error_of(answer)

"""Who may what, written down a second time, by hand: a route that is new, or asks for another right, fails here until
somebody has said who may have it.
"""

import re

import httpx
import pytest
import pytest_asyncio

from tests.support.control import ADMIN_TOKEN, admin_headers
from tidegate.app.control import Control
from tidegate.control.identity.model import ROLES, SYSTEM
from tidegate.doors.http.control.routes import BASE, ROUTES

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVERYBODY = frozenset({"nobody", *ROLES})
USERS = frozenset(ROLES)
DEPLOYERS = frozenset({"deployer", "admin"})
READERS = frozenset({"reviewer", "admin"})
ADMINS = frozenset({"admin"})

WHO = {
    "GET /healthz": EVERYBODY,
    "GET /readyz": EVERYBODY,
    "GET /metrics": EVERYBODY,
    f"GET {BASE}/whoami": USERS,
    f"GET {BASE}/config": USERS,
    f"PUT {BASE}/config": ADMINS,
    f"GET {BASE}/prompts": USERS,
    f"GET {BASE}/prompts/NAME": USERS,
    f"GET {BASE}/prompts/NAME/history": USERS,
    f"GET {BASE}/prompts/NAME/diff": USERS,
    f"GET {BASE}/prompts/NAME/VERSION": USERS,
    f"GET {BASE}/releases": USERS,
    f"POST {BASE}/releases": DEPLOYERS,
    f"GET {BASE}/releases/ENV/PROMPT": USERS,
    f"POST {BASE}/releases/ENV/PROMPT/rollback": DEPLOYERS,
    f"POST {BASE}/releases/ENV/PROMPT/revert": DEPLOYERS,
    f"POST {BASE}/releases/ENV/PROMPT/withdraw": DEPLOYERS,
    f"GET {BASE}/rollouts": USERS,
    f"POST {BASE}/rollouts": DEPLOYERS,
    f"GET {BASE}/rollouts/ENV/PROMPT": USERS,
    f"GET {BASE}/rollouts/ENV/PROMPT/why": USERS,
    f"POST {BASE}/rollouts/ENV/PROMPT/approve": READERS,
    f"POST {BASE}/rollouts/ENV/PROMPT/pause": DEPLOYERS,
    f"POST {BASE}/rollouts/ENV/PROMPT/resume": DEPLOYERS,
    f"POST {BASE}/rollouts/ENV/PROMPT/extend": DEPLOYERS,
    f"POST {BASE}/rollouts/ENV/PROMPT/rebalance": DEPLOYERS,
    f"POST {BASE}/rollouts/ENV/PROMPT/promote": DEPLOYERS,
    f"POST {BASE}/rollouts/ENV/PROMPT/drill": DEPLOYERS,
    f"GET {BASE}/evaluations": USERS,
    f"POST {BASE}/evaluations": USERS,
    f"POST {BASE}/evaluations/cases": READERS,
    f"GET {BASE}/evaluations/scores": USERS,
    f"GET {BASE}/experiments": USERS,
    f"POST {BASE}/experiments": DEPLOYERS,
    f"POST {BASE}/experiments/preview": DEPLOYERS,
    f"GET {BASE}/experiments/NAME": USERS,
    f"GET {BASE}/experiments/NAME/analysis": USERS,
    f"GET {BASE}/experiments/NAME/assignment": USERS,
    f"POST {BASE}/experiments/NAME/decide": DEPLOYERS,
    f"POST {BASE}/experiments/NAME/stop": DEPLOYERS,
    f"GET {BASE}/calls": USERS,
    f"GET {BASE}/calls/gaps": USERS,
    f"GET {BASE}/calls/pairs": USERS,
    f"GET {BASE}/calls/CALL_ID": USERS,
    f"GET {BASE}/calls/CALL_ID/explanation": USERS,
    f"GET {BASE}/calls/CALL_ID/content": READERS,
    f"POST {BASE}/contents/erase": ADMINS,
    f"POST {BASE}/contents/reseal": ADMINS,
    f"GET {BASE}/routes": USERS,
    f"GET {BASE}/routes/ALIAS": USERS,
    f"GET {BASE}/routes/ALIAS/plan": USERS,
    f"GET {BASE}/budgets": USERS,
    f"GET {BASE}/budgets/NAME": USERS,
    f"POST {BASE}/counters/rebuild": ADMINS,
    f"GET {BASE}/keys": ADMINS,
    f"POST {BASE}/keys": ADMINS,
    f"POST {BASE}/keys/KEY_ID/revoke": ADMINS,
    f"POST {BASE}/keys/KEY_ID/expire": ADMINS,
    f"GET {BASE}/secrets": ADMINS,
    f"PUT {BASE}/secrets/NAME": ADMINS,
    f"POST {BASE}/secrets/NAME/remove": ADMINS,
    f"POST {BASE}/secrets/rotate": ADMINS,
    f"GET {BASE}/users": ADMINS,
    f"POST {BASE}/users": ADMINS,
    f"POST {BASE}/users/NAME/roles": ADMINS,
    f"POST {BASE}/users/NAME/disable": ADMINS,
    f"GET {BASE}/users/NAME/tokens": ADMINS,
    f"POST {BASE}/users/NAME/tokens": ADMINS,
    f"POST {BASE}/tokens/TOKEN_ID/revoke": ADMINS,
    f"GET {BASE}/audit": READERS,
}  # fmt: skip
OPEN = {name for name, who in WHO.items() if "nobody" in who}
NOBODIES = ("no token", "a gateway's key", "a key with every scope", "an empty token")


def named(method: str, path: str) -> str:
    return f"{method} " + re.sub(r"\{(\w+):str\}", lambda found: found[1].upper(), path)


async def test_every_route_is_classified_and_nothing_else_is() -> None:
    served = {named(route.method, route.path) for route in ROUTES}
    assert served - WHO.keys() == set(), "say in WHO who may have it"
    assert WHO.keys() - served == set(), "these are served no more"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def callers(control: Control, admin: httpx.AsyncClient) -> dict[str, dict[str, str]]:
    """The headers of each caller: a user of each role, and those who are no users of control."""
    found = {}
    for role in ROLES:
        found[role] = admin_headers((await control.identity.create_user(SYSTEM, f"just-{role}", [role]))[1])
    plain = (await admin.post(f"{BASE}/keys", json={"name": "plain"})).json()["secret"]
    wide = {"name": "wide", "scopes": ["inference", "prompts"]}
    scoped = (await admin.post(f"{BASE}/keys", json=wide)).json()["secret"]
    nobodies: tuple[dict[str, str], ...] = (
        {},
        admin_headers(plain),
        admin_headers(scoped) | {"x-role": "admin"},
        admin_headers(" "),
    )
    return found | dict(zip(NOBODIES, nobodies, strict=True))


@pytest.mark.parametrize("name", WHO)
async def test_who_may(name: str, client: httpx.AsyncClient, callers: dict[str, dict[str, str]]) -> None:
    method, _, path = name.partition(" ")
    url = re.sub(r"[A-Z_]{3,}", "nothing", path)
    let_in = set()
    for caller, headers in callers.items():
        answer = await client.request(method, url, headers=headers, json={} if method != "GET" else None)
        if answer.status_code not in (401, 403):
            let_in.add(caller)
        assert answer.status_code != 401 or caller in NOBODIES
        assert answer.status_code < 500, answer.text
    assert let_in == {*WHO[name], *(NOBODIES if name in OPEN else ())} - {"nobody"}


@pytest.mark.parametrize("name", [name for name in WHO if name not in OPEN])
async def test_a_living_token_counts_in_its_header_only(name: str, client: httpx.AsyncClient) -> None:
    """What a browser sends by itself, whatever the page, opens nothing: there is no cross-site request to forge."""
    method, _, path = name.partition(" ")
    url = re.sub(r"[A-Z_]{3,}", "nothing", path)
    cookies = "; ".join(f"{one}={ADMIN_TOKEN}" for one in ("token", "session", "authorization", "tidegate"))
    for headers in (
        {"cookie": cookies, "origin": "http://evil.example", "sec-fetch-site": "cross-site"},
        {"x-api-key": ADMIN_TOKEN, "api-key": ADMIN_TOKEN, "x-tidegate-token": ADMIN_TOKEN},
        {"proxy-authorization": f"Bearer {ADMIN_TOKEN}", "x-forwarded-for": "127.0.0.1"},
    ):
        answer = await client.request(method, f"{url}?token={ADMIN_TOKEN}&access_token={ADMIN_TOKEN}", headers=headers)
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers

"""What would be SQL, a path or markup if anybody took it for such: in every parameter of every route it is a name that
nobody has. What was stored before is there afterwards.
"""

import re
from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest
import sqlalchemy as sa

from tidegate.app.control import Control
from tidegate.doors.http.control.routes import BASE, ROUTES, Route

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORDS = (
    "' OR '1'='1", '" OR 1=1 --', "x'; DROP TABLE users; --", "%' --", "_%", "1) UNION SELECT * FROM tokens --",
    "../../.tidegate/keys.env", "..", "/etc/passwd", "file:///etc/passwd", "{{ 7 * 7 }}", "${7*7}", "%s%n",
    "{0.__class__}", "<img src=x onerror=alert(1)>", "a\r\nset-cookie: a=b", "\x1b[31m", "\ud7ff\U0010ffff", "\u202e",
    "x" * 20_000,
)  # fmt: skip
QUERIES = {
    f"{BASE}/calls": ("key", "prompt", "version", "ending", "environment", "origin", "cursor"),
    f"{BASE}/calls/pairs": ("route", "before"),
    f"{BASE}/audit": ("subject",),
    f"{BASE}/releases": ("environment", "prompt"),
    f"{BASE}/routes/{{alias:str}}/plan": ("environment", "key"),
}
TABLES = ("users", "tokens", "api_keys", "audit", "configs", "snapshots", "secrets")
TAKES_WORDS = [route for route in ROUTES if "{" in route.path or route.path in QUERIES]


def filled(route: Route, word: str) -> Iterator[str]:
    """The route's addresses with this word in each of its places."""
    path = re.sub(r"\{\w+:str\}", quote(word, safe=""), route.path)
    if path != route.path:
        yield path
    plain = re.sub(r"\{\w+:str\}", "fast", route.path)
    for name in QUERIES.get(route.path, ()):
        yield f"{plain}?{name}={quote(word, safe='')}"


async def counted(control: Control) -> dict[str, int]:
    async with control.db.read() as tx:
        return {
            name: (await tx.execute(sa.select(sa.func.count()).select_from(sa.table(name)))).scalar_one()
            for name in TABLES
        }


@pytest.mark.parametrize("route", TAKES_WORDS, ids=lambda route: f"{route.method} {route.path}")
async def test_a_word_is_a_word(route: Route, admin: httpx.AsyncClient, control: Control) -> None:
    before = await counted(control)
    for word in WORDS:
        for address in filled(route, word):
            body = {"token": word, "name": word} if route.takes_body else None
            answer = await admin.request(route.method, address, json=body)
            assert answer.status_code < 500, (address, answer.text)
            assert "set-cookie" not in answer.headers
            if answer.status_code >= 400:
                assert answer.headers["content-type"].startswith("application/json")
            elif "?" in address and "/plan" not in address:
                found = answer.json()
                assert found == [] or found.get("pairs", found.get("calls")) == [], address
    assert await counted(control) == before


@pytest.mark.parametrize("word", ["' OR '1'='1", "%", "_" * 40, "tgt-%", "tgt-" + "_" * 40, "x' UNION SELECT 1 --"])
async def test_no_word_is_a_token(client: httpx.AsyncClient, word: str) -> None:
    answer = await client.get(f"{BASE}/keys", headers={"authorization": f"Bearer {word}"})
    assert answer.status_code == 401

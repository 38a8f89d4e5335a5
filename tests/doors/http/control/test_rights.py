"""Every route with every role: who comes in is told by the table alone, so a new route cannot slip through."""

import re

import httpx
import pytest
import pytest_asyncio

from tests.support.control import admin_headers
from tidegate.app.control import Control
from tidegate.control.identity.model import ROLE_RIGHTS, ROLES, SYSTEM
from tidegate.doors.http.control.application import make_app
from tidegate.doors.http.control.routes import BASE, ROUTES, SCHEMA_PATH, Route

pytestmark = pytest.mark.asyncio(loop_scope="module")

GUARDED = [route for route in ROUTES if route.right is not None]


def url(route: Route) -> str:
    return re.sub(r"\{(\w+):str\}", "nobody", route.path)


def name(route: Route) -> str:
    return f"{route.method} {route.path}"


async def test_the_application_answers_to_the_table_and_its_schema_only(control: Control) -> None:
    served = {
        (method, handler_route.path_format)
        for handler_route in make_app(control).app.routes
        for method in getattr(handler_route, "methods", ())
        if method != "OPTIONS"
    }
    listed = {(route.method, route.path.replace(":str", "")) for route in ROUTES}
    schema = {("GET", path) for path in (SCHEMA_PATH, f"{SCHEMA_PATH}/openapi.json", f"{SCHEMA_PATH}/{{path}}")}
    assert served - schema == listed


async def test_the_schema_is_the_tables(admin: httpx.AsyncClient) -> None:
    schema = (await admin.get(SCHEMA_PATH)).json()
    assert schema["openapi"].startswith("3.")
    told = {(method.upper(), path) for path, methods in schema["paths"].items() for method in methods}
    assert told == {(route.method, route.path.replace(":str", "")) for route in ROUTES}
    for route in GUARDED:
        operation = schema["paths"][route.path.replace(":str", "")][route.method.lower()]
        assert operation["security"] == [{"token": []}]
        assert route.right in operation["description"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tokens(control: Control) -> dict[str, str]:
    """A token for each role, and one of somebody who left."""
    made = {role: (await control.identity.create_user(SYSTEM, f"some-{role}", [role]))[1] for role in ROLES}
    made["leaver"] = (await control.identity.create_user(SYSTEM, "leaver", ["admin"]))[1]
    await control.identity.disable_user(SYSTEM, "leaver")
    return made


@pytest.mark.parametrize("route", GUARDED, ids=name)
async def test_each_role_gets_what_its_rights_say(
    route: Route, client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    for role in ROLES:
        token = tokens[role]
        body: dict[str, str] | None = {} if route.takes_body else None
        answer = await client.request(route.method, url(route), json=body, headers=admin_headers(token))
        allowed = route.right in ROLE_RIGHTS[role]
        assert (answer.status_code != 403) == allowed, (role, answer.text)
        if not allowed:
            error = answer.json()["error"]
            assert error["code"] == "permission_denied"
            assert str(route.right) in error["message"]
            assert error["mend"]


@pytest.mark.parametrize("route", GUARDED, ids=name)
async def test_nobody_comes_in_without_a_living_token(
    route: Route, client: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    token = tokens["leaver"]
    wrong = [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer  "},
        {"authorization": "Basic YWRtaW46YWRtaW4="},
        {"authorization": "Bearer tgt-" + "f" * 40},
        {"authorization": "Bearer " + "x" * 5000},
        {"authorization": "Bearer ' OR 1=1 --"},
        {"authorization": f"Bearer {token}"},
        {"cookie": f"token={token}; session={token}"},
        {"x-api-key": token, "x-forwarded-for": "127.0.0.1", "x-role": "admin"},
    ]
    for headers in wrong:
        answer = await client.request(route.method, url(route), headers=headers)
        assert answer.status_code == 401, (headers, answer.text)
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["error"]["mend"]


async def test_a_gateway_key_is_no_token(client: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    made = (await admin.post(f"{BASE}/keys", json={"name": "app"})).json()
    answer = await client.get(f"{BASE}/keys", headers={"authorization": f"Bearer {made['secret']}"})
    assert answer.status_code == 401

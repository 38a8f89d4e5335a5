"""The table of routes, and the page of the docs that is made from it."""

from pathlib import Path

from tidegate.control.identity.model import RIGHTS
from tidegate.doors.http.control.reference import reference_text
from tidegate.doors.http.control.routes import BASE, ROUTES, Route

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "http-api.md"
OPEN = {"/healthz", "/readyz", "/metrics"}
GUARDED = [route for route in ROUTES if route.right is not None]


def name(route: Route) -> str:
    return f"{route.method} {route.path}"


def test_only_what_machines_ask_is_open() -> None:
    assert {route.path for route in ROUTES if route.right is None} == OPEN


def test_every_other_route_has_a_right_that_some_role_has() -> None:
    for route in GUARDED:
        assert route.path.startswith(f"{BASE}/")
        assert route.right in RIGHTS
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)


def test_what_changes_something_asks_for_more_than_reading() -> None:
    for route in ROUTES:
        if route.method != "GET":
            assert route.right not in (None, "read"), name(route)


def test_every_route_says_what_it_does() -> None:
    summaries = [route.summary for route in ROUTES]
    assert all(summaries)
    assert len(set(summaries)) == len(summaries)


def test_the_page_of_the_docs_is_the_tables() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference_text(), "run: python -m tidegate.doors.http.control.reference"

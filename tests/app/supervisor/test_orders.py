"""Orders travel whole, and only once."""

from pathlib import Path

import pytest

from tidegate.app.supervisor.orders import VARIABLE, Orders, given, taken
from tidegate.kernel.errors import Invalid
from tidegate.settings import Settings

ORDERS = Orders(
    process="gateway-2", settings=Settings(workspace=Path("/srv/shop"), gateways=3), socket_fd=7, lifeline_fd=8
)


def test_what_is_given_is_taken():
    environ = given(ORDERS, {"PATH": "/bin"})
    assert taken(environ) == ORDERS
    assert environ == {"PATH": "/bin"}, "a grandchild must not take them for its own"


def test_without_orders_there_are_none():
    assert taken({"PATH": "/bin"}) is None


@pytest.mark.parametrize("text", ["", "{", '{"process": 3}', '{"process": "x"}'])
def test_garbage_is_refused_with_the_mend(text: str):
    with pytest.raises(Invalid, match="Unset it"):
        taken({VARIABLE: text})


@pytest.mark.parametrize(
    ("process", "kept"),
    [
        ("up", {"ADMIN_TOKEN", "MASTER_KEY", "DATABASE_URL"}),
        ("control", {"ADMIN_TOKEN", "MASTER_KEY", "DATABASE_URL"}),
        ("gateway", {"MASTER_KEY", "DATABASE_URL"}),
        ("gateway-2", {"MASTER_KEY", "DATABASE_URL"}),
        ("model", set()),
    ],
)
def test_a_process_is_given_only_the_secrets_that_it_needs(process: str, kept: set[str]):
    secrets = {f"TIDEGATE_{name}": "secret" for name in ("ADMIN_TOKEN", "MASTER_KEY", "DATABASE_URL")}
    environ = given(Orders(process=process, settings=ORDERS.settings), {**secrets, "OPENAI_KEY": "theirs"})
    assert {name for name in secrets if name in environ} == {f"TIDEGATE_{name}" for name in kept}
    assert environ["OPENAI_KEY"] == "theirs"

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

"""Who comes in: a token in the Authorization header, never a cookie, and the right that the route asks for."""

from typing import Annotated, Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter, SkipValidation

from tidegate.app.control import Control
from tidegate.control.identity.model import Actor
from tidegate.kernel.errors import Invalid, Unauthenticated

__all__ = ["Number", "TheActor", "TheControl", "actor_of", "admit", "control_of", "need_json"]

TheControl = NamedDependency[SkipValidation[Control]]
TheActor = NamedDependency[SkipValidation[Actor]]

Number = Annotated[int | None, QueryParameter(ge=-(2**63), le=2**63 - 1)]
"""A time or an id in a query, no larger than a database's column; None where it is not given."""

RIGHT = "right"
ACTOR = "tidegate_actor"
CONTROL = "control"


async def admit(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """The guard of every route with a right, before the body is read; raises Unauthenticated or Forbidden."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated(
            "This needs a token.",
            mend="Send `Authorization: Bearer TOKEN`; the command line finds it by itself, or after `tidegate login`.",
            code="token_missing",
        )
    control: Control = connection.app.state[CONTROL]
    actor = await control.identity.authenticate(token.strip())
    actor.require(handler.opt[RIGHT])
    if "\0" in connection.scope["path"] or any("\0" in value for _, value in connection.query_params.multi_items()):
        raise Invalid("The address holds a NUL.", mend="Take `%00` out of it: no name has one.")  # nor has PostgreSQL
    connection.state[ACTOR] = actor


async def need_json(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """The guard of every route that takes a body: anything but JSON is refused with 415."""
    kind = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(
            status_code=415, detail=f"The body's content type is {kind or 'missing'}, not application/json."
        )


async def control_of(request: Request[Any, Any, Any]) -> Control:
    """The dependency `control`."""
    control: Control = request.app.state[CONTROL]
    return control


async def actor_of(request: Request[Any, Any, Any]) -> Actor:
    """The dependency `actor`: whom `admit` let in."""
    actor: Actor = request.state[ACTOR]
    return actor

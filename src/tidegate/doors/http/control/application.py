"""The Litestar application, built from the table of routes, and the count that is kept of its answers."""

from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any

from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from tidegate import __version__
from tidegate.app.control import Control
from tidegate.doors.http.control.admission import CONTROL, RIGHT, actor_of, admit, control_of, need_json
from tidegate.doors.http.control.errors import EXCEPTION_HANDLERS, HEADERS, ErrorBody, ErrorFields, answer, typed
from tidegate.doors.http.control.records import wanted_calls
from tidegate.doors.http.control.routes import ROUTES, SCHEMA_PATH, Route
from tidegate.kernel.errors import NotFound

__all__ = ["MAX_BODY_BYTES", "Counted", "make_app"]

MAX_BODY_BYTES = 1024 * 1024


def make_app(control: Control, routes: Sequence[Route] = ROUTES) -> "Counted":
    """The ASGI application over a Control, which the caller starts and stops."""
    app = Litestar(
        route_handlers=[_handler(route) for route in routes],
        state=State({CONTROL: control}),
        dependencies={"control": Provide(control_of), "actor": Provide(actor_of), "wanted": Provide(wanted_calls)},
        exception_handlers=_exception_handlers(),
        openapi_config=_openapi(),
        request_max_body_size=MAX_BODY_BYTES,
        response_headers=dict(HEADERS),
        logging_config=None,
        pdb_on_exception=False,
        debug=False,
    )
    return Counted(app, control)


class Counted:
    """Counts every answer by route and status, those of unknown paths too, and how long it took."""

    def __init__(self, app: Litestar, control: Control) -> None:
        self.app = app
        self._asgi: ASGIApp = app
        self._control = control

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._asgi(scope, receive, send)
            return
        begun = perf_counter()
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._asgi(scope, receive, watched)
        finally:
            path = scope.get("path_template") or "unknown"
            self._control.metered.answered(scope["method"], path, status, perf_counter() - begun)


def _handler(route: Route) -> HTTPRouteHandler:
    guards = [admit] if route.right is not None else []
    return HTTPRouteHandler(
        route.path,
        http_method=route.method,  # type: ignore[arg-type]  # Litestar wants a literal
        status_code=route.status,
        guards=[*guards, need_json] if route.takes_body else guards,
        opt={RIGHT: route.right},
        summary=route.summary,
        operation_id=route.operation_id,
        security=[{"token": []}] if route.right is not None else [],
        description=f"Needs the right `{route.right}`." if route.right is not None else None,
    )(route.handler)


def _exception_handlers() -> dict[int | type[Exception], Callable[[Request[Any, Any, Any], Any], Response[Any]]]:
    handlers: dict[int | type[Exception], Callable[[Request[Any, Any, Any], Any], Response[Any]]] = {}
    for kind, handler in EXCEPTION_HANDLERS.items():
        handlers[kind] = handler
    handlers[NotFoundException] = _no_such_path
    handlers[MethodNotAllowedException] = _no_such_method
    return handlers


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Tidegate control plane",
        version=__version__,
        path=SCHEMA_PATH,
        render_plugins=[JsonRenderPlugin(path="/")],
        components=Components(security_schemes={"token": SecurityScheme(type="http", scheme="bearer")}),
    )


def _no_such_path(request: Request[Any, Any, Any], error: HTTPException) -> Response[ErrorBody]:
    path = request.scope["path"]
    known = dict.fromkeys(_filled(path))
    missing = NotFound("path", path, known=tuple(known), mend=f"See {SCHEMA_PATH}.")
    return typed(request, missing)


def _no_such_method(request: Request[Any, Any, Any], error: HTTPException) -> Response[ErrorBody]:
    path, method = request.scope["path"], request.scope["method"]
    allowed = ", ".join(dict.fromkeys(route.method for route in ROUTES if path in _filled(path, (route,))))
    fields = ErrorFields("method_not_allowed", f"{path} does not take {method}.", f"It takes {allowed}.")
    return answer(405, fields, {"allow": allowed})


def _filled(path: str, routes: Sequence[Route] = ROUTES) -> Iterator[str]:
    """The routes' paths, their parameters filled from the path that was asked for where it has as many parts."""
    asked = path.strip("/").split("/")
    for route in routes:
        parts = route.path.strip("/").split("/")
        if len(parts) == len(asked):
            parts = [real if part.startswith("{") else part for part, real in zip(parts, asked, strict=True)]
        yield "/" + "/".join(part.partition(":")[0].strip("{}") if part.startswith("{") else part for part in parts)

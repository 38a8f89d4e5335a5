"""The routes that machines ask without a token: alive, ready, metrics. They tell nothing that is secret."""

import msgspec
from litestar import Response

from tidegate.app.readiness import Readiness
from tidegate.doors.http.control.admission import TheControl

__all__ = ["Health", "healthz", "metrics", "readyz"]


class Health(msgspec.Struct, frozen=True):
    """The process answers."""

    status: str = "alive"


async def healthz() -> Health:
    """Whether the process answers at all."""
    return Health()


async def readyz(control: TheControl) -> Response[Readiness]:
    """Whether it can do its work, with the state of each part; 503 when it cannot."""
    readiness = await control.readiness()
    return Response(readiness, status_code=200 if readiness.ready else 503, media_type="application/json")


async def metrics(control: TheControl) -> Response[bytes]:
    """Prometheus' text format: this host's gateways summed up, and control's own."""
    return Response(await control.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

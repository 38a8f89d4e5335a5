"""The pipeline: the stages as one tuple, folded into one handler from the inside out."""

from tidegate.gateway.call import Call, Handler, Reply, Stage

__all__ = ["fold"]


def fold(stages: tuple[Stage, ...]) -> Handler:
    """Return the handler that runs the stages in order; the last stage answers and never calls on."""
    handler: Handler = _nobody
    for stage in reversed(stages):
        handler = _join(stage, handler)
    return handler


def _join(stage: Stage, inner: Handler) -> Handler:
    def handler(call: Call):  # type: ignore[no-untyped-def]  # the stage's own awaitable, passed on without a frame of ours
        return stage(call, inner)

    return handler


async def _nobody(call: Call) -> Reply:
    raise RuntimeError(f"no stage answered {call.call_id}")

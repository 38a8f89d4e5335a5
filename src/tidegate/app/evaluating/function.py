"""Any application under evaluation: a Python function that is given a case's variables and returns its answer."""

import asyncio
import hashlib
import importlib.util
import inspect
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from tidegate.kernel.complete import Ask, Said
from tidegate.kernel.errors import Invalid, NotFound, ProviderFailed, ProviderTimeout, TidegateError

__all__ = ["FunctionComplete", "load_function"]

NANO = 1_000_000_000
FIELDS = ("text", "input_tokens", "output_tokens", "cost_usd", "finish_reason", "model")
_MEND = 'Return the answer as text, or {"text": ..., "input_tokens": ..., "output_tokens": ..., "cost_usd": ...}.'


def load_function(target: str, start: Path) -> tuple[Callable[..., Any], str]:
    """The function that `FILE:FUNCTION` names, and its file's SHA-256. Raises NotFound, or Invalid when the file cannot
    be run.
    """
    place, _, name = target.rpartition(":")
    if not place or not name.isidentifier():
        raise Invalid(f"The target {target!r} names no function.", mend="Write python:FILE:FUNCTION.", code="usage")
    file = start / place
    try:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise NotFound("file", place, mend="Write python:FILE:FUNCTION, FILE from here on.") from error
    module = _module(file)
    function = getattr(module, name, None)
    if not callable(function):
        known = [word for word, value in vars(module).items() if inspect.isfunction(value) and not word.startswith("_")]
        raise NotFound("function", name, known=known, mend=f"It must be defined in {place}.")
    return function, digest


class FunctionComplete:
    """Fills `kernel.complete.Complete`: the ask's settings are the case's variables. A function that is not async runs
    in a thread, of which there are `threads`; they hold up nothing at the end, also when a function never returns.
    """

    def __init__(self, function: Callable[..., Any], name: str, threads: int) -> None:
        self._function = function
        self._name = name
        self._is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004  # an object with an async __call__
        )
        self._whole = _takes_all(function)
        self._threads = threads
        self._started = 0
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    async def complete(self, ask: Ask) -> Said:
        """See `Complete`. What the function raises is a ProviderFailed (`target_failed`)."""
        try:
            async with asyncio.timeout(ask.timeout_s):
                answer, latency_ms = await (self._awaited(ask) if self._is_async else self._in_thread(ask))
        except TidegateError:
            raise
        except TimeoutError as error:
            raise ProviderTimeout(
                f"{self._name} did not answer within {ask.timeout_s:g} s.", mend="Give it more time: --timeout."
            ) from error
        except Exception as error:
            raise ProviderFailed(f"{type(error).__name__}: {error}", mend="", code="target_failed") from error
        return _said(answer, latency_ms, self._name)

    async def close(self) -> None:
        """See `Complete`."""
        for _ in range(self._started):
            self._work.put(None)

    def _call(self, variables: Mapping[str, Any]) -> Any:
        return self._function(dict(variables)) if self._whole else self._function(**variables)

    async def _awaited(self, ask: Ask) -> tuple[Any, float]:
        began = time.perf_counter()
        answer = await self._call(ask.settings)
        return answer, (time.perf_counter() - began) * 1000

    def _in_thread(self, ask: Ask) -> "asyncio.Future[tuple[Any, float]]":
        if self._started < self._threads:
            self._started += 1
            threading.Thread(target=self._serve, daemon=True, name="target").start()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[tuple[Any, float]] = loop.create_future()

        def work() -> None:
            began = time.perf_counter()
            try:
                answer = self._call(ask.settings)
            except BaseException as error:
                _tell(loop, done, None, error)
            else:
                _tell(loop, done, (answer, (time.perf_counter() - began) * 1000), None)

        self._work.put(work)
        return done

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            work()


def _tell(
    loop: asyncio.AbstractEventLoop,
    done: "asyncio.Future[tuple[Any, float]]",
    answer: tuple[Any, float] | None,
    error: BaseException | None,
) -> None:
    def settle() -> None:
        if done.done():
            return
        if answer is not None:
            done.set_result(answer)
        else:
            done.set_exception(error if isinstance(error, Exception) else RuntimeError(repr(error)))

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        return  # the run is over, and the answer came too late


def _said(answer: Any, latency_ms: float, name: str) -> Said:
    if isinstance(answer, str):
        return Said(text=answer, latency_ms=latency_ms)
    if not isinstance(answer, Mapping) or not isinstance(answer.get("text"), str):
        raise Invalid(f"{name} returned {type(answer).__name__}.", mend=_MEND, code="target_answer")
    unknown = sorted(set(answer) - set(FIELDS))
    if unknown:
        raise Invalid(f"{name} returned the unknown field {unknown[0]!r}.", mend=_MEND, code="target_answer")
    cost = answer.get("cost_usd")
    return Said(
        text=answer["text"],
        finish_reason=answer.get("finish_reason"),
        input_tokens=answer.get("input_tokens"),
        output_tokens=answer.get("output_tokens"),
        cost_nano_usd=None if cost is None else round(float(cost) * NANO),
        latency_ms=latency_ms,
        upstream_model=answer.get("model"),
    )


def _takes_all(function: Callable[..., Any]) -> bool:
    """Whether the function takes the variables as one mapping: it has one parameter, and that is called `variables`."""
    try:
        parameters = tuple(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return False
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return len(parameters) == 1 and parameters[0].name == "variables" and parameters[0].kind in plain


def _module(file: Path) -> ModuleType:
    """Run the file as a module of its own; what stands beside it can be imported by it."""
    spec = importlib.util.spec_from_file_location(f"tidegate_target_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise Invalid(f"{file.name} is no Python file.", mend="Write python:FILE.py:FUNCTION.", code="usage")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    folder = str(file.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise Invalid(
            f"{file.name} cannot be run: {type(error).__name__}: {error}.", mend="Mend it.", code="target_failed"
        ) from error
    return module

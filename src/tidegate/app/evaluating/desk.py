"""Where the models of a workspace are asked: opened when the first is, the local one started when it is needed."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tidegate.app.evaluating.local_model import local_model
from tidegate.control.policies.model import parse_config, priced
from tidegate.kernel.complete import Ask, Said
from tidegate.kernel.documents import decode_text
from tidegate.kernel.errors import Invalid, NotFound
from tidegate.live.snapshot import Deployment, Sealed, Snapshot
from tidegate.settings import CONFIG_NAME, Settings

if TYPE_CHECKING:
    from tidegate.app.evaluating.complete import PipelineComplete

__all__ = ["Desk"]


class Desk:
    """Fills `kernel.complete.Complete`, for judges and for prompts alike. Without settings (no workspace) every ask
    raises NotFound.
    """

    def __init__(
        self,
        settings: Settings | None,
        environ: Mapping[str, str],
        *,
        environment: str = "production",
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._environ = environ
        self._environment = environment
        self._note = note
        self._pipeline: PipelineComplete | None = None
        self._opening = asyncio.Lock()
        self._ready: set[str] = set()
        self._fault: Invalid | None = None
        self._children = ExitStack()

    async def complete(self, ask: Ask) -> Said:
        """See `Complete`."""
        pipeline = self._pipeline
        if pipeline is None or ask.model not in self._ready:
            pipeline = await self._open(ask.model)
        return await pipeline.complete(ask)

    async def deployments(self, model: str) -> tuple[Deployment, ...]:
        """Who may answer for an alias or model. Raises NotFound, Forbidden where nobody may, and Invalid for a
        tidegate.yaml with faults.
        """
        async with self._opening:
            return (await self._opened()).deployments(model)

    def bound(self, ask: Ask) -> int | None:
        """What an ask can cost at most, in nano-dollars; None where that is unknown."""
        return self._pipeline.bound(ask) if self._pipeline is not None else None

    async def _open(self, model: str) -> "PipelineComplete":
        """Have a model ready to be asked. Raises as `deployments`; Invalid, too, when the local model cannot start (it
        is tried once).
        """
        async with self._opening:
            if self._fault is not None:
                raise self._fault.with_traceback(None)
            pipeline = await self._opened()
            if model not in self._ready:
                assert self._settings is not None
                child = local_model(self._settings, pipeline.deployments(model), self._note)
                try:
                    await asyncio.to_thread(self._children.enter_context, child)
                except Invalid as error:
                    self._fault = error
                    raise
                self._ready.add(model)
            return pipeline

    async def close(self) -> None:
        """See `Complete`."""
        if self._pipeline is not None:
            await self._pipeline.close()
        await asyncio.to_thread(self._children.close)

    async def _opened(self) -> "PipelineComplete":
        if self._pipeline is None:
            from tidegate.app.evaluating.complete import PipelineComplete  # noqa: PLC0415  # lazy: not for functions

            if self._settings is None:
                raise NotFound(
                    "workspace", ".", mend=f"A judge's model is one of a {CONFIG_NAME}: run `tidegate init`."
                )
            snapshot = await _snapshot(self._settings)
            self._pipeline = PipelineComplete(snapshot, self._settings, self._environ, self._environment)
        return self._pipeline


async def _snapshot(settings: Settings) -> Snapshot:
    """What tidegate.yaml says, applied or not."""
    from tidegate.app.prices import PricesOnDemand  # noqa: PLC0415  # lazy: not for functions

    config = priced(
        parse_config(decode_text(settings.config_file.read_bytes(), CONFIG_NAME), CONFIG_NAME), PricesOnDemand()
    )
    needed = any(one.secret is not None for one in config.deployments.values())
    return Snapshot(
        policy=config.policy,
        deployments=config.deployments,
        routes=config.routes,
        sealed=await _sealed(settings) if needed else {},
    )


async def _sealed(settings: Settings) -> dict[str, Sealed]:
    """The providers' keys that `tidegate secrets set` keeps in the workspace's database."""
    from tidegate.app.databases import open_database, schema_status  # noqa: PLC0415  # lazy: few models need it
    from tidegate.control.policies import store  # noqa: PLC0415  # lazy: as above

    if (await schema_status(settings)).current is None:
        return {}
    database = open_database(settings)
    try:
        async with database.read() as tx:
            return {one.sealed.name: one.sealed for one in await store.secrets(tx)}
    finally:
        await database.close()

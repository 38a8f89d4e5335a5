"""What experiments need of the call log; monitoring fills it."""

from typing import Protocol

from tidegate.control.monitoring.exposures import Exposures, Past

__all__ = ["ExposureLog"]


class ExposureLog(Protocol):
    """Calls and what was said of them."""

    async def exposures(self, experiment_id: str) -> Exposures:
        """Every call of an experiment that is still kept, and its scores. Raises Unavailable."""
        ...

    async def history(self, wanted: Past) -> Exposures:
        """The calls as they were without an experiment, and their scores. Raises Unavailable."""
        ...

    async def newest_ms(self) -> int | None:
        """When the newest call in the log started (Unix ms), None when it is empty. Raises Unavailable."""
        ...

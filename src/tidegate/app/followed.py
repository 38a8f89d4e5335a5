"""The prompts that control serves from: the repository that the configuration names, opened, followed and scanned."""

import asyncio
import time
from collections.abc import Callable

from tidegate.control.policies.model import PromptSource
from tidegate.control.prompts.model import Scan
from tidegate.control.prompts.ports import PromptRepository
from tidegate.control.prompts.service import Prompts
from tidegate.jobs.database import Database
from tidegate.kernel.errors import TidegateError

__all__ = ["FollowedPrompts", "OpenRepository"]

OpenRepository = Callable[[PromptSource], PromptRepository]
FETCH_S = 10.0
SCAN_S = 15.0


class FollowedPrompts:
    """One PromptSource at a time. `scan` is what was last found in it, None before the first look."""

    def __init__(self, db: Database, open_repository: OpenRepository, source: PromptSource) -> None:
        self._db = db
        self._open = open_repository
        self.source = source
        self.repository = open_repository(source)
        self.prompts = Prompts(db, self.repository)
        self.scan: Scan | None = None
        self.away: str | None = None
        self._fetch_at_s = self._scan_at_s = 0.0

    def follow(self, source: PromptSource) -> bool:
        """Turn to the source; True when it is another one than before."""
        if source == self.source:
            return False
        self.source = source
        self.repository = self._open(source)
        self.prompts = Prompts(self._db, self.repository)
        self.scan = self.away = None
        self._fetch_at_s = self._scan_at_s = 0.0
        return True

    async def look(self) -> Scan:
        """Read what is new, and now and then fetch it from the remote: `away` says why that cannot be done.

        Raises Unavailable when the repository here cannot be read.
        """
        await self._fetch()
        head = await asyncio.to_thread(self.repository.head)
        known = self.scan.commit if self.scan is not None else None
        now_s = time.monotonic()
        if self.scan is None or head != known or now_s >= self._scan_at_s:
            self._scan_at_s = now_s + SCAN_S
            self.scan = await self.prompts.scan()
        return self.scan

    async def _fetch(self) -> None:
        now_s = time.monotonic()
        if now_s < self._fetch_at_s:
            return
        self._fetch_at_s = now_s + FETCH_S
        try:
            await asyncio.to_thread(self.repository.fetch)
        except TidegateError as error:
            self.away = str(error)
        else:
            self.away = None

"""What the gateways of this host serve, asked at their `/readyz`: for a drill, which measures how long a step takes."""

import asyncio
import json
import time
import urllib.request

from tidegate.adapters.metrics.files import read_states
from tidegate.control.rollouts.ports import Adopted
from tidegate.settings import Settings

__all__ = ["LocalGateways"]

LOOK_S = 0.005
ANSWER_S = 2.0
EACH = 4
"""Gateway processes share a port, and the kernel chooses who answers: so often for each of them it is asked."""


class LocalGateways:
    """The gateways that share this host's port (see `control.rollouts.ports.Gateways`)."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def adopted(self, generation: int, timeout_s: float) -> Adopted:
        """Return as soon as every answer tells this generation or a newer one."""
        return await asyncio.to_thread(self._ask, generation, timeout_s)

    def _ask(self, generation: int, timeout_s: float) -> Adopted:
        folder = self._settings.run_dir
        living = sum(1 for state in read_states(folder) if state.pid) if folder.is_dir() else 0
        if not living:
            return Adopted(True, 0)
        wanted = EACH * living if living > 1 else 1
        until, told = time.monotonic() + timeout_s, 0
        while told < wanted:
            if time.monotonic() > until:
                return Adopted(False, living)
            if _generation(self._settings.gateway_url) >= generation:
                told += 1
            else:
                told = 0
                time.sleep(LOOK_S)
        return Adopted(True, living)


def _generation(base: str) -> int:
    """What one gateway serves; 0 when it does not say."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{base}/readyz", timeout=ANSWER_S) as answer:
            return int(json.load(answer).get("generation") or 0)
    except (OSError, ValueError):
        return 0

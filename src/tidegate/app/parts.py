"""The parts of a control process, as those see them who look after them: its duties, its readiness, its metrics."""

from typing import Protocol

from tidegate.adapters.metrics.control import ControlMetrics
from tidegate.app.followed import FollowedPrompts
from tidegate.app.leader import Leader
from tidegate.app.watched import WatchedDatabase
from tidegate.control.evals.online.scoring import OnlineScoring
from tidegate.control.experiments.service import Experiments
from tidegate.control.monitoring.contents import KeptContents
from tidegate.control.monitoring.service import Calls
from tidegate.control.policies.model import Config
from tidegate.control.rollouts.service import Rollouts
from tidegate.control.spend.service import Spend
from tidegate.jobs.outbox import Outbox
from tidegate.kernel.errors import TidegateError
from tidegate.settings import Settings

__all__ = ["Parts"]


class Parts(Protocol):
    """What `app.control.Control` is made of. `opened` is why it does not work yet, None when it does."""

    settings: Settings
    db: WatchedDatabase
    config: Config | None
    opened: TidegateError | None
    metered: ControlMetrics
    outbox: Outbox
    leader: Leader
    followed: FollowedPrompts
    calls: Calls
    experiments: Experiments
    rollouts: Rollouts
    scoring: OnlineScoring
    contents: KeptContents
    spend: Spend

    async def refresh(self) -> None:
        """Read the configuration that holds, and turn to its prompts if they are elsewhere now."""
        ...

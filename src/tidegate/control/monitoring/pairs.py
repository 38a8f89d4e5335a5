"""Pairs: users' calls beside the copies that candidates answered, for whoever compares the two."""

from tidegate.control.monitoring.model import Pair, PairFilter, PairPage
from tidegate.control.monitoring.ports import ContentStore
from tidegate.control.monitoring.service import Calls

__all__ = ["Pairs"]


class Pairs:
    """Read back from the call log and the content store; what was said is read elsewhere, and audited."""

    def __init__(self, calls: Calls, contents: ContentStore) -> None:
        self._calls = calls
        self._contents = contents

    async def list(self, wanted: PairFilter) -> PairPage:
        """The newest pairs that match, by their copies, newest first."""
        found = await self._calls.pairs(wanted)
        ids = [one.call_id for pair in found for one in pair if one is not None]
        kept = await self._contents.kept(ids) if ids else frozenset()
        pairs = tuple(
            Pair(
                user=user,
                shadow=shadow,
                user_kept=shadow.shadow_of in kept,
                shadow_kept=shadow.call_id in kept,
            )
            for user, shadow in found
        )
        return PairPage(pairs, pairs[-1].shadow.call_id if len(pairs) == wanted.limit else None)

"""The verbs of spending: where budgets stand, tell when one runs out, rebuild the counters from the call log."""

import logging
from collections.abc import Mapping, Sequence

import msgspec

from tidegate.control.identity import store as identity
from tidegate.control.identity.model import LAST_MS, Actor
from tidegate.control.policies import store as policies
from tidegate.control.spend import store
from tidegate.control.spend.model import BudgetState, CallTotals, News, news_of, rebuilt, states_of
from tidegate.control.spend.ports import CallLog, Spending
from tidegate.jobs.database import Database, Tx
from tidegate.jobs.notifications import NOTIFY
from tidegate.jobs.outbox import enqueue
from tidegate.kernel.errors import NotFound
from tidegate.kernel.money import usd_text
from tidegate.live.births import NEW, REBUILT, Birth
from tidegate.live.counting import Counted
from tidegate.live.snapshot import LimitRule
from tidegate.live.windows import Window, window_at

__all__ = ["Spend"]

log = logging.getLogger(__name__)

BEGUN = "begun"
REMEMBERED_MS = 7 * 24 * 3600 * 1000


class Spend:
    """What is spent, by budget."""

    def __init__(self, db: Database, spending: Spending, calls: CallLog, *, store: str = "") -> None:
        """`store` names the store of the counters: one that is seen for the first time begins with the call log; one
        that is later found with another birth mark is closed, until somebody rebuilds it.
        """
        self._store = store
        self._known: Birth | None = None
        self._lost_told = False
        self._db = db
        self._spending = spending
        self._calls = calls

    async def list(self) -> tuple[BudgetState, ...]:
        """Where every limit and budget stands, in the file's order. Raises Unavailable."""
        rules, now_ms = await self._rules()
        return states_of(rules, await self._spending.standings(), now_ms)

    async def show(self, name: str) -> tuple[BudgetState, ...]:
        """Every counter of one limit or budget, the most spent first. Raises NotFound, Unavailable."""
        rules, now_ms = await self._rules()
        mine = [rule for rule in rules if rule.name == name]
        if not mine:
            known = [rule.name for rule in rules]
            mend = "Write one under `budgets` in tidegate.yaml." if not known else ""
            raise NotFound("budget", name, known=known, mend=mend, code="budget_not_found")
        return states_of(mine, await self._spending.standings(), now_ms)

    async def tell(self) -> int:
        """Tell the notifiers of budgets that have passed their soft edge or are exhausted, each once for its window;
        return how many were told. One leader does it again and again.
        """
        await self._begin()
        rules, now_ms = await self._rules()
        if not any(rule.unit == "nano_usd" for rule in rules):
            return 0
        states = states_of(rules, await self._spending.standings(), now_ms)
        if not [*news_of(states, set())]:
            return 0
        async with self._db.read() as tx:
            told = await store.marked(tx)
        if not [*news_of(states, told)]:
            return 0
        async with self._db.write() as tx:
            fresh = [*news_of(states, await store.marked(tx))]
            await store.forget_marks(tx, now_ms - REMEMBERED_MS)
            for news in fresh:
                await store.mark(tx, news.key, at_ms=now_ms, ends_at_ms=news.state.ends_at_ms)
                await enqueue(tx, at_ms=now_ms, kind=NOTIFY, payload=_payload(news, now_ms))
        return len(fresh)

    async def rebuild(self, actor: Actor) -> tuple[BudgetState, ...]:
        """Set every counter of the present windows to what the call log says, and open a store that had lost them.

        What a gateway that was killed had not written yet is missing from the log, at most one flush of records. Raises
        Forbidden, Unavailable.
        """
        actor.require("config.apply")
        rules, now_ms = await self._rules()
        counted = await self._counted_by_log(rules, now_ms)
        await self._spending.rebuild(counted)
        await self._remember()
        async with self._db.write() as tx:
            diff = {"counters": {f"{one.counter} {one.window}": one.settled for one in counted}}
            await identity.add_audit(
                tx, at_ms=now_ms, actor=actor, action="budget.rebuild", subject="budgets/all", diff=diff
            )
        return states_of(rules, counted, now_ms)

    async def _begin(self) -> None:
        """Begin a store that is new with what the call log says, so that moving gives nobody a second budget. One that
        is not the one that was known has lost what it knew: it is closed, for somebody must know.
        """
        if not self._store:
            return
        birth = await self._spending.birth()
        if birth is not None and birth == self._known:
            return
        async with self._db.read() as tx:
            marks = await self._marks(tx)
        if not marks:
            rules, now_ms = await self._rules()
            await self._spending.rebuild(await self._counted_by_log(rules, now_ms))
            await self._remember()
        elif birth is not None and (birth.state == REBUILT or (birth.state == NEW and birth.mark in marks)):
            await self._remember()
        else:
            if birth is None or birth.state == NEW:
                await self._spending.lose()
            if not self._lost_told:
                log.error("the counters of limits and budgets are lost; run `tidegate budget rebuild`")
            self._lost_told = True

    async def _marks(self, tx: Tx) -> set[str]:
        """The birth marks under which the store was known."""
        return {
            mark for counter, mark, event in await store.marked(tx) if mark and (counter, event) == (self._store, BEGUN)
        }

    async def _remember(self) -> None:
        """Know the store as it is now, also after a restart."""
        birth = await self._spending.birth()
        if birth is not None and self._store:
            async with self._db.write() as tx:
                if birth.mark not in await self._marks(tx):
                    await store.mark(
                        tx, (self._store, birth.mark, BEGUN), at_ms=await self._now_ms(tx), ends_at_ms=LAST_MS
                    )
        self._known, self._lost_told = birth, False

    async def _counted_by_log(self, rules: Sequence[LimitRule], now_ms: int) -> tuple[Counted, ...]:
        names = await self._key_names()
        totals: dict[Window, list[CallTotals]] = {}
        for rule in rules:
            window = window_at(rule.per, rule.time_zone, now_ms)
            if rule.per and window not in totals:
                found = await self._calls.totals(window.begins_at_ms, window.ends_at_ms)
                totals[window] = [_named(one, names) for one in found]
        return rebuilt(rules, totals, now_ms)

    async def _rules(self) -> tuple[Sequence[LimitRule], int]:
        async with self._db.read() as tx:
            config = await policies.current(tx)
            return (config.limits if config is not None else ()), await self._now_ms(tx)

    async def _key_names(self) -> Mapping[str, str]:
        async with self._db.read() as tx:
            return {key.key_id: key.name for key in await identity.keys(tx)}

    async def _now_ms(self, tx: Tx) -> int:
        return await self._db.now_ms(tx)


def _named(totals: CallTotals, names: Mapping[str, str]) -> CallTotals:
    """With the key's name instead of its id: rules speak of names."""
    return msgspec.structs.replace(totals, key=names.get(totals.key or "", totals.key))


def _payload(news: News, now_ms: int) -> dict[str, object]:
    state = news.state
    detail = {
        "counter": state.counter,
        "words": state.words,
        "window": state.window,
        "spent_usd": usd_text(state.settled),
        "held_usd": usd_text(state.held),
        "cap_usd": usd_text(state.cap),
        "share": state.share_bp / 10_000,
        "hard": state.hard,
        "resets_at_ms": state.ends_at_ms,
    }
    return {"event": news.event, "at_ms": now_ms, "subject": f"budget/{state.name}", "detail": detail}

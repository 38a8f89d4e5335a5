"""Where budgets and limits stand, as plain values: pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from tidegate.live.counting import Counted, counter_name, counts, rule_name, split_words
from tidegate.live.snapshot import LimitRule
from tidegate.live.windows import Window, window_at

__all__ = [
    "EXHAUSTED",
    "OK",
    "SOFT",
    "BudgetState",
    "CallTotals",
    "Counted",
    "News",
    "news_of",
    "rebuilt",
    "states_of",
]

OK, SOFT, EXHAUSTED = "ok", "soft", "exhausted"
EXHAUSTED_BP = 9_900
"""From this share on, slices that are out included, a budget counts as exhausted: a call's bound hardly fits."""

UNSPENT = frozenset({"parallel"})


class CallTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What the call log says of calls that are alike: how many, their tokens and their cost (nano-dollars; a cost that
    is unknown counts as its bound).
    """

    key: str | None
    model: str | None
    environment: str | None
    tags: dict[str, str]
    requests: int
    tokens: int
    nano_usd: int

    @property
    def words(self) -> dict[str, str]:
        """The words that rules match and split by; the log is asked for users' calls only."""
        own = {"key": self.key, "model": self.model, "environment": self.environment, "origin": "user"}
        return {**self.tags, **{word: value for word, value in own.items() if value is not None}}


class BudgetState(msgspec.Struct, frozen=True, kw_only=True):
    """Where one counter of a rule stands. Amounts are in `unit` (nano_usd: nano-dollars). `settled` is spent for good,
    `held` is out in gateways' slices; `words` are the values that the counter is for. `state` is ok, soft or exhausted.
    """

    name: str
    counter: str
    words: dict[str, str]
    unit: str
    per: str
    time_zone: str
    window: str
    ends_at_ms: int
    settled: int
    held: int
    cap: int
    soft_bp: int
    hard: bool
    state: str

    @property
    def share_bp(self) -> int:
        """What is settled, in basis points of the cap."""
        return _share_bp(self.settled, self.cap)


class News(msgspec.Struct, frozen=True, kw_only=True):
    """A budget has passed its soft edge, or is exhausted: told once for each counter's window."""

    event: str
    state: BudgetState

    @property
    def key(self) -> tuple[str, str, str]:
        """What the mark is filed under."""
        return self.state.counter, self.state.window, self.event


def states_of(rules: Iterable[LimitRule], counted: Iterable[Counted], now_ms: int) -> tuple[BudgetState, ...]:
    """Where each rule's counters stand now, in the rules' order; a rule that counts all calls together is there before
    its first call too. Windows that have ended are left out.
    """
    by_rule: dict[str, list[Counted]] = {}
    for one in counted:
        if one.ends_at_ms > now_ms:
            by_rule.setdefault(rule_name(one.counter), []).append(one)
    found: list[BudgetState] = []
    for rule in rules:
        window = window_at(rule.per, rule.time_zone, now_ms)
        alive = [one for one in by_rule.get(rule.name, ()) if one.window == window.name]
        if not alive and not rule.each:
            alive = [_untouched(rule, window.name, window.ends_at_ms)]
        found += (_state(rule, one) for one in sorted(alive, key=lambda one: (-one.settled, one.counter)))
    return tuple(found)


def news_of(states: Iterable[BudgetState], told: set[tuple[str, str, str]]) -> Iterator[News]:
    """What is to be told of budgets, and was not."""
    for state in states:
        if state.unit != "nano_usd" or state.state == OK:
            continue
        events = ["budget.soft"] if state.state == SOFT else ["budget.soft", "budget.exhausted"]
        for event in events:
            news = News(event=event, state=state)
            if news.key not in told:
                yield news


def rebuilt(
    rules: Iterable[LimitRule], totals: Mapping[Window, Sequence[CallTotals]], now_ms: int
) -> tuple[Counted, ...]:
    """What every counter of the present windows must hold, by the call log's totals of each window."""
    found: dict[tuple[str, str], Counted] = {}
    for rule in rules:
        if rule.unit in UNSPENT:
            continue
        window = window_at(rule.per, rule.time_zone, now_ms)
        for one in totals.get(window, ()):
            words = one.words
            if not counts(rule, words):
                continue
            key = (counter_name(rule, words), window.name)
            before = found.get(key)
            found[key] = Counted(
                counter=key[0],
                window=window.name,
                cap=rule.cap,
                settled=(before.settled if before else 0) + _amount(rule, one),
                held=0,
                ends_at_ms=window.ends_at_ms,
            )
    return tuple(found.values())


def _amount(rule: LimitRule, totals: CallTotals) -> int:
    return {"requests": totals.requests, "tokens": totals.tokens, "nano_usd": totals.nano_usd}[rule.unit]


def _untouched(rule: LimitRule, window: str, ends_at_ms: int) -> Counted:
    return Counted(counter=rule.name, window=window, cap=rule.cap, settled=0, held=0, ends_at_ms=ends_at_ms)


def _state(rule: LimitRule, one: Counted) -> BudgetState:
    share, out = _share_bp(one.settled, rule.cap), _share_bp(one.settled + one.held, rule.cap)
    is_soft = share >= rule.soft_bp
    is_over = share >= EXHAUSTED_BP or (is_soft and out >= EXHAUSTED_BP)
    return BudgetState(
        name=rule.name,
        counter=one.counter,
        words=split_words(one.counter),
        unit=rule.unit,
        per=rule.per,
        time_zone=rule.time_zone,
        window=one.window,
        ends_at_ms=one.ends_at_ms,
        settled=one.settled,
        held=one.held,
        cap=rule.cap,
        soft_bp=rule.soft_bp,
        hard=rule.hard,
        state=EXHAUSTED if is_over else SOFT if is_soft else OK,
    )


def _share_bp(amount: int, cap: int) -> int:
    return 10_000 if cap <= 0 else amount * 10_000 // cap

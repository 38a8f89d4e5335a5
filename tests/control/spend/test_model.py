"""Where budgets stand: windows, states, what is told, and what the call log rebuilds."""

from tidegate.control.spend.model import CallTotals, news_of, rebuilt, states_of
from tidegate.live.counting import Counted, counter_name
from tidegate.live.snapshot import LimitRule
from tidegate.live.windows import window_at

NOW_MS = 1_795_000_000_000
USD = 1_000_000_000
MONTH = LimitRule(name="support", unit="nano_usd", cap=100 * USD, per="month", match={"team": "support"})
BY_KEY = LimitRule(name="by-key", unit="nano_usd", cap=10 * USD, per="day", each=("key",))


def counted(rule: LimitRule, settled: int, held: int = 0, *, words: dict[str, str] | None = None) -> Counted:
    window = window_at(rule.per, rule.time_zone, NOW_MS)
    return Counted(
        counter=counter_name(rule, words or {}),
        window=window.name,
        cap=rule.cap,
        settled=settled,
        held=held,
        ends_at_ms=window.ends_at_ms,
    )


def totals(nano_usd: int, **words: str) -> CallTotals:
    own = {name: words.pop(name, None) for name in ("key", "model", "environment")}
    return CallTotals(**own, tags=words, requests=1, tokens=10, nano_usd=nano_usd)


class TestAState:
    def test_of_a_budget_without_a_call_is_there_and_zero(self) -> None:
        (state,) = states_of([MONTH], (), NOW_MS)
        assert (state.settled, state.held, state.cap, state.state) == (0, 0, 100 * USD, "ok")
        assert state.ends_at_ms > NOW_MS

    def test_of_a_budget_by_key_is_there_once_a_key_has_called(self) -> None:
        assert states_of([BY_KEY], (), NOW_MS) == ()
        (state,) = states_of([BY_KEY], [counted(BY_KEY, USD, words={"key": "app"})], NOW_MS)
        assert (state.words, state.share_bp) == ({"key": "app"}, 1000)

    def test_is_soft_from_its_edge_on_and_exhausted_near_the_cap(self) -> None:
        def state(settled: int, held: int = 0) -> str:
            return states_of([MONTH], [counted(MONTH, settled, held)], NOW_MS)[0].state

        assert state(80 * USD - 1) == "ok"
        assert state(80 * USD) == "soft"
        assert state(99 * USD) == "exhausted"
        assert state(90 * USD, 10 * USD) == "exhausted"
        assert state(10 * USD, 90 * USD) == "ok"

    def test_of_a_window_that_ended_is_not_shown(self) -> None:
        old = Counted(counter="support", window="2001-01 UTC", cap=1, settled=1, held=0, ends_at_ms=NOW_MS - 1)
        assert [one.settled for one in states_of([MONTH], [old], NOW_MS)] == [0]

    def test_of_a_cap_that_was_changed_goes_by_the_new_cap(self) -> None:
        found = states_of([MONTH], [counted(MONTH, 50 * USD)], NOW_MS)
        (again,) = states_of(
            [LimitRule(name="support", unit="nano_usd", cap=50 * USD, per="month")], [counted(MONTH, 50 * USD)], NOW_MS
        )
        assert (found[0].state, again.state) == ("ok", "exhausted")


class TestNews:
    def test_are_told_once_for_a_window(self) -> None:
        states = states_of([MONTH], [counted(MONTH, 85 * USD)], NOW_MS)
        (first,) = news_of(states, set())
        assert first.event == "budget.soft"
        assert [*news_of(states, {first.key})] == []

    def test_of_an_exhausted_budget_say_both_that_it_was_soft_and_that_it_is_out(self) -> None:
        states = states_of([MONTH], [counted(MONTH, 100 * USD)], NOW_MS)
        assert [news.event for news in news_of(states, set())] == ["budget.soft", "budget.exhausted"]

    def test_are_of_budgets_only(self) -> None:
        rule = LimitRule(name="calls", unit="requests", cap=1, per="minute")
        assert [*news_of(states_of([rule], [counted(rule, 1)], NOW_MS), set())] == []


class TestRebuilding:
    def test_sums_up_what_each_rule_counts(self) -> None:
        rules = (MONTH, BY_KEY)
        log = {
            window_at(rule.per, rule.time_zone, NOW_MS): [
                totals(2 * USD, key="a", team="support"),
                totals(3 * USD, key="b", team="sales"),
                totals(4 * USD, key="a", team="support", model="chat"),
            ]
            for rule in rules
        }
        found = {one.counter: one.settled for one in rebuilt(rules, log, NOW_MS)}
        assert found == {"support": 6 * USD, "by-key|key=a": 6 * USD, "by-key|key=b": 3 * USD}

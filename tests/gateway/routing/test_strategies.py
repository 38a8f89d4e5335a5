"""In which order candidates are asked."""

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tidegate.gateway.routing.strategies import STRATEGIES, Question, View, rank
from tidegate.kernel.money import Price
from tidegate.live.plans import Candidate
from tidegate.live.snapshot import Deployment


def a_candidate(name: str, weight: int = 1, priority: int = 0, price: int | None = None) -> Candidate:
    cost = None if price is None else Price(input_pico_usd_per_token=price, output_pico_usd_per_token=price)
    one = Deployment(name=name, provider="openai", base_url="http://h/v1", upstream_model="m", price=cost)
    return Candidate(one, "m", weight, priority)


def names(found: list[Candidate]) -> list[str]:
    return [one.deployment.name for one in found]


IDLE = {name: View() for name in "abcdefgh"}

candidates = st.lists(
    st.builds(a_candidate, st.sampled_from("abcdefgh"), st.integers(1, 100), st.integers(0, 3), st.none() | st.just(5)),
    min_size=1, max_size=8, unique_by=lambda one: one.deployment.name,
)  # fmt: skip


@given(st.sampled_from(sorted(STRATEGIES)), candidates, st.integers(0, 2**64 - 1), st.none() | st.text(max_size=8))
def test_every_strategy_asks_everyone_once(strategy: str, given_: list[Candidate], draw: int, unit: str | None) -> None:
    found = rank(strategy, given_, IDLE, Question(draw, unit, b"prefix", 100))
    assert sorted(names(found)) == sorted(names(given_))


def test_weights_are_kept_over_many_units() -> None:
    given_ = [a_candidate("a", 70), a_candidate("b", 20), a_candidate("c", 10)]
    first = Counter(names(rank("weighted", given_, IDLE, Question(0, f"user-{n}")))[0] for n in range(20_000))
    chi = sum((first[name] - 200 * share) ** 2 / (200 * share) for name, share in (("a", 70), ("b", 20), ("c", 10)))
    assert chi < 13.8  # the 0.1% point with 2 degrees of freedom


@given(candidates, st.text(min_size=1), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_a_unit_always_gets_the_same(given_: list[Candidate], unit: str, one: int, other: int) -> None:
    assert names(rank("weighted", given_, IDLE, Question(one, unit))) == names(
        rank("weighted", given_, IDLE, Question(other, unit))
    )


@given(candidates, st.integers(1, 100), st.text(min_size=1))
def test_a_growing_weight_only_gains_units(given_: list[Candidate], more: int, unit: str) -> None:
    first, *rest = given_
    grown = a_candidate(first.deployment.name, first.weight + more)
    before = names(rank("weighted", given_, IDLE, Question(0, unit)))[0]
    after = names(rank("weighted", [grown, *rest], IDLE, Question(0, unit)))[0]
    assert after in (before, first.deployment.name)


def test_least_busy_counts_calls_for_their_weight() -> None:
    given_ = [a_candidate("a", 1), a_candidate("b", 4)]
    busy = {"a": View(in_flight=1), "b": View(in_flight=3)}
    assert names(rank("least_busy", given_, busy, Question(1))) == ["b", "a"]


def test_latency_prefers_the_quick_and_the_unknown_first() -> None:
    given_ = [a_candidate("a"), a_candidate("b"), a_candidate("c")]
    seen = {"a": View(latency_ms=90.0), "b": View(latency_ms=20.0), "c": View()}
    assert names(rank("latency", given_, seen, Question(1))) == ["c", "b", "a"]


def test_latency_spreads_calls_over_those_that_never_answered() -> None:
    given_ = [a_candidate("a"), a_candidate("b"), a_candidate("c")]
    busy = dict.fromkeys("abc", 0)
    for number in range(100):
        seen = {name: View(in_flight=count) for name, count in busy.items()}
        busy[names(rank("latency", given_, seen, Question(number)))[0]] += 1
    assert sorted(busy.values()) == [33, 33, 34]


def test_latency_asks_the_unknown_once_and_waits_for_its_first_answer() -> None:
    given_ = [a_candidate("known"), a_candidate("new")]
    idle, busy = View(latency_ms=20.0), View(in_flight=1, latency_ms=40.0)
    assert names(rank("latency", given_, {"known": idle, "new": View()}, Question(1)))[0] == "new"
    assert names(rank("latency", given_, {"known": idle, "new": View(in_flight=2)}, Question(1)))[0] == "known"
    assert names(rank("latency", given_, {"known": busy, "new": View(in_flight=1)}, Question(1)))[0] == "new"


def test_a_conversation_stays_where_its_prefix_is_until_that_one_is_too_busy() -> None:
    given_ = [a_candidate(name) for name in "abcd"]
    homes: dict[int, set[str]] = {}
    for number in range(50):
        question = Question(number, None, b"system prompt %d" % (number % 10))
        homes.setdefault(number % 10, set()).add(names(rank("prefix_affinity", given_, IDLE, question))[0])
    assert all(len(home) == 1 for home in homes.values())
    assert len({home for one in homes.values() for home in one}) > 1
    home, second, *_ = names(rank("prefix_affinity", given_, IDLE, Question(0, None, b"x")))
    crowded = {**IDLE, home: View(in_flight=9)}
    assert names(rank("prefix_affinity", given_, crowded, Question(0, None, b"x")))[0] == second


def test_priority_then_weight_and_cost_with_the_unknown_last() -> None:
    given_ = [a_candidate("a", priority=1), a_candidate("b", priority=0), a_candidate("c", priority=2)]
    assert names(rank("priority", given_, IDLE, Question(7))) == ["b", "a", "c"]
    priced = [a_candidate("a"), a_candidate("b", price=9), a_candidate("c", price=2)]
    assert names(rank("cost", priced, IDLE, Question(7, None, b"", 4000))) == ["c", "b", "a"]


def test_chance_spreads_those_who_name_no_unit() -> None:
    random = Random(1)
    given_ = [a_candidate("a"), a_candidate("b")]
    first = Counter(names(rank("weighted", given_, IDLE, Question(random.getrandbits(64))))[0] for _ in range(2000))
    assert 850 < first["a"] < 1150

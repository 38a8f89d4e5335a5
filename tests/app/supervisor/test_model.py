"""When a dead process is started again."""

from hypothesis import given
from hypothesis import strategies as st

from tidegate.app.supervisor.model import LOOP_DEATHS, LOOP_S, judge


def test_the_first_death_is_mended_at_once():
    assert judge([100.0], 100.0) == (0.0, False)


def test_the_next_ones_wait_longer_and_the_fifth_is_a_crash_loop():
    deaths = [100.0, 100.3, 100.9, 102.0, 103.5]
    verdicts = [judge(deaths[: number + 1], deaths[number]) for number in range(5)]
    assert [verdict.restart_in_s for verdict in verdicts] == [0.0, 0.25, 0.5, 1.0, LOOP_S]
    assert [verdict.looping for verdict in verdicts] == [False, False, False, False, True]


def test_old_deaths_are_forgiven():
    assert judge([1.0, 2.0, 3.0, 4.0, 100.0], 100.0) == (0.0, False)


@given(st.lists(st.floats(0.0, 1000.0), min_size=1, max_size=50).map(sorted))
def test_a_restart_always_comes_and_only_many_recent_deaths_are_a_loop(deaths: list[float]):
    verdict = judge(deaths, deaths[-1])
    recent = [death for death in deaths if deaths[-1] - death < LOOP_S]
    assert 0.0 <= verdict.restart_in_s <= LOOP_S
    assert verdict.looping == (len(recent) >= LOOP_DEATHS)

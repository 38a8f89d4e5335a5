"""The report in Markdown: the answer, then the evidence, then how, then what was defined."""

import msgspec

from tests.support.analyses import SAMPLES, bandit, inconclusive, shipped, the_definition
from tidegate.control.experiments.reports.markdown import markdown


def test_the_order_is_answer_evidence_method_cautions_definition_meanings() -> None:
    text = markdown(inconclusive())
    heads = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert heads == [
        "What was found", "Guardrails", "Who was in it", "How it was judged", "What to be careful about",
        "The definition", "What the words mean",
    ]  # fmt: skip
    assert text.splitlines()[2] == "**Not known yet: about 4,200 more users, 6 days.**"
    assert "- Half of all calls came from one key." in text


def test_figures_stand_in_tables_with_their_intervals() -> None:
    lines = markdown(shipped()).splitlines()
    assert "| resolved (primary) | 61.9% | 65.0% | +3.1 points (+1.2 to +5.0) | better | 0.012 |" in lines
    assert "| error_rate | at most 1.5 times control's | 0.97 times (0.71 to 1.33) | holds |" in lines
    assert "| control | qa 3.2.1, model gpt-4o-mini | 50% | 50.2% | 6,301 | 6,233 |" in lines


def test_p_values_and_intervals_are_explained_once() -> None:
    for make in SAMPLES.values():
        text = markdown(make())
        assert text.count("blame chance") == 1
        assert text.count("is where the true figure lies") == 1


def test_the_definition_says_what_was_frozen() -> None:
    text = markdown(shipped())
    assert "| resolved | feedback resolved, mean of its calls | higher | 62.0% | 2 points |" in text
    assert "| Only tags | tier = free |" in text
    quick = msgspec.structs.replace(the_definition().metrics[3], name="p95_latency_ms", above=2310.0, shape="rate")
    found = msgspec.structs.replace(shipped(), definition=the_definition(watched=(quick,)))
    assert "call latency_ms, mean of its calls, above 2,310 ms" in markdown(found)


def test_what_is_left_out_is_said_with_its_reason() -> None:
    found = msgspec.structs.replace(shipped(), excluded={"mixed": 31, "no_unit": 1, "late": 4, "unfinished": 0})
    text = markdown(found)
    assert "- Left out: 31 users seen in more than one variant." in text
    assert "- Left out: 1 call without a user." in text
    assert "- Left out: 4 (late)." in text
    assert "took too long" not in text


def test_a_bandit_says_who_leads_and_what_was_lost() -> None:
    text = markdown(bandit())
    assert "warm leads, but the stopping rule does not say yet that it is the best." in text
    assert "about 171 (sum of resolved); equal shares would have lost about 527 (sum of resolved)." in text
    assert "| warm | 60% | 66.0% (64.8 to 67.2) | 97% | 65.8% (64.4 to 67.2) |" in text

"""The answer in a sentence, for each way in which an experiment can stand."""

import msgspec
import pytest

from tests.support.analyses import (
    SAMPLES,
    bandit,
    broken_split,
    contrast,
    empty,
    inconclusive,
    judgement,
    kept,
    shipped,
    the_definition,
)
from tidegate.control.experiments.model import Analysis, Decision, SplitReport, Variant
from tidegate.control.experiments.reports.words import answer, chance_text, mood, split_sentence, standing
from tidegate.control.gates.model import Absolute, Drop, Gate, Verdict


def changed(analysis: Analysis, **fields: object) -> Analysis:
    return msgspec.structs.replace(analysis, **fields)


ANSWERS = {
    "ship": "Ship treatment: resolved is 3.1 points higher (1.2 to 5.0), nothing got worse.",
    "keep": "Keep control: error_rate is 1.8 times control's (1.3 to 2.5).",
    "inconclusive": "Not known yet: about 4,200 more users, 6 days.",
    "broken split": "Not to be trusted yet: users did not come in the shares that were meant. Find out why first. "
    "(The rule would say: Ship treatment: resolved is 3.1 points higher (1.2 to 5.0), nothing got worse.)",
    "bandit": "Not known yet: about 3 days more.",
    "empty": "Not known yet. No window is over.",
}


@pytest.mark.parametrize("kind", SAMPLES)
def test_the_answer_is_one_plain_sentence(kind: str) -> None:
    assert answer(SAMPLES[kind]()) == ANSWERS[kind]


def test_the_mood_follows_the_answer_unless_the_split_is_broken() -> None:
    found = [mood(one()) for one in (shipped, kept, inconclusive, broken_split, bandit, empty)]
    assert found == ["ship", "keep", "open", "doubt", "open", "open"]


def test_what_got_worse_is_said_beside_what_is_shipped() -> None:
    good = shipped()
    costly = contrast("cost_per_query", "loses", (0.00036, 0.0002, 0.00052))
    found = changed(good, contrasts=(good.contrasts[0], costly))
    assert answer(found).endswith("(1.2 to 5.0), but worse in cost_per_query.")


def test_a_guardrail_that_is_open_is_not_called_harmless() -> None:
    found = changed(shipped(), guardrails=inconclusive().guardrails)
    assert answer(found).endswith(", no harm was found (not yet proven for error_rate).")


def test_a_rule_of_several_metrics_says_which_ones_won() -> None:
    good = shipped()
    first = msgspec.structs.replace(good.contrasts[0], state="open")
    found = changed(good, contrasts=(first, *good.contrasts[1:]))
    assert answer(found) == "Ship treatment: better in 1 of 5 metrics (faithfulness), nothing got worse."


def test_keeping_for_a_loss_says_how_large_it_is() -> None:
    lost = contrast("resolved", "loses", (-0.0203, -0.0304, -0.0102))
    found = changed(kept(), guardrails={}, contrasts=(lost,))
    assert answer(found) == "Keep control: resolved is 2.0 points lower (1.0 to 3.0)."


def test_keeping_for_want_of_an_effect_names_the_least_worth_having() -> None:
    small = contrast("resolved", "open", (0.004, -0.009, 0.017))
    found = changed(kept(), guardrails={}, contrasts=(small,))
    said = "Keep control: if the treatment is better in resolved, then by less than 2 points, the least worth having."
    assert answer(found) == said


def test_a_breach_names_its_variant_when_there_are_several() -> None:
    three = the_definition(
        variants=tuple(Variant(name=name, weight_bp=3000, prompt="qa", version="1.0.0") for name in ("a", "b", "c"))
    )
    gate = Gate(metric="faithfulness", rule=Drop(0.03), shape="mean", better="higher", share=1.0)
    bad = judgement(gate, "breached", (-0.041, -0.062, -0.021), "")
    found = changed(
        kept(),
        definition=three,
        guardrails={"c": Verdict(answer="block", judgements=(bad,), alpha=0.05, why="")},
    )
    assert answer(found) == "Keep a: faithfulness is 4.1 points lower (2.1 to 6.2) with c."


def test_a_broken_absolute_limit_says_the_level_and_the_limit() -> None:
    gate = Gate(metric="latency_ms", rule=Absolute(2000.0), shape="mean", better="lower", share=1.0)
    bad = judgement(gate, "breached", (2312.0, 2180.0, 2440.0), "")
    found = changed(kept(), guardrails={"t": Verdict(answer="block", judgements=(bad,), alpha=0.05, why="")})
    assert answer(found) == "Keep control: latency_ms is 2,310 ms (2,180 to 2,440), allowed is at most 2,000 ms."


def test_a_breach_that_only_warns_is_not_the_reason() -> None:
    warned = msgspec.structs.replace(kept().guardrails["treatment"].judgements[0].gate, block=False)
    bad = judgement(warned, "breached", (1.83, 1.32, 2.51), "")
    decision = Decision(answer="keep", variant="control", why="the plan is over.")
    found = changed(
        kept(),
        decision=decision,
        contrasts=(),
        guardrails={"treatment": Verdict(answer="pass", judgements=(bad,), alpha=0.05, why="")},
    )
    assert answer(found) == "Keep control: the plan is over."


def test_an_experiment_that_ended_without_an_answer_says_so() -> None:
    found = changed(inconclusive(), state="stopped")
    assert answer(found) == (
        "Not known: it ended before there was an answer (users judged: 12,431); about 4,200 more users, 6 days would "
        "be needed."
    )


def test_where_it_stands_names_subject_time_and_units() -> None:
    said = "tone-v2-production, on prompt:qa in production, is running: 5 days, 12,431 users judged, about 2,400 a day."
    assert standing(shipped()) == said


def test_units_have_the_names_that_people_gave_them() -> None:
    found = changed(inconclusive(), definition=the_definition(unit="tag:query"))
    assert answer(found) == "Not known yet: about 4,200 more queries, 6 days."


def test_missing_answers_are_told_from_missing_units() -> None:
    split = SplitReport(ok=False, p=0.4, responders_p=2e-9)
    assert "one variant loses more answers" in split_sentence(changed(shipped(), split=split))
    assert "(p < 0.0001)" in split_sentence(changed(shipped(), split=split))


@pytest.mark.parametrize(
    ("chance", "said"),
    [(0.9987, "99.9%"), (1.0, "> 99.9%"), (0.0, "< 0.1%"), (0.5, "50%"), (0.004, "0.4%"), (None, "unknown")],
)
def test_no_chance_is_said_to_be_certain(chance: float | None, said: str) -> None:
    assert chance_text(chance) == said

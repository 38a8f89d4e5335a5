"""Estimates without a model: what is supported, relevant, refused and alike scores above what is not."""

import pytest

from tests.control.evals.scorers.samples import sample
from tidegate.control.evals.model import Sample
from tidegate.control.evals.scorers.base import Tools
from tidegate.control.evals.scorers.registry import scorer_named
from tidegate.kernel.errors import Unavailable

CONTEXT = "The shop opens at 9 and closes at 18. Delivery takes 3 working days. A new lamp costs 25 euros."


def _asked(question: str, answer: str) -> Sample:
    one = sample(answer)
    return Sample(case=one.case, question=question, context=None, answer=answer, outcome=one.outcome)


async def test_what_the_context_says_is_more_faithful_than_what_it_does_not() -> None:
    scorer = scorer_named("faithfulness", Tools())
    good = await scorer.score(sample("Delivery takes 3 working days.", context=CONTEXT))
    for false in ("Delivery takes 7 working days.", "We sell the best bicycles in Paris and ship them by air."):
        bad = await scorer.score(sample(false, context=CONTEXT))
        assert good.value is not None
        assert bad.value is not None
        assert bad.value < good.value
        assert bad.why


async def test_without_a_context_nothing_is_faithful_or_not() -> None:
    assert (await scorer_named("faithfulness", Tools()).score(sample("It is so."))).error == "no_context"


async def test_an_answer_to_the_question_is_more_relevant_than_one_to_another() -> None:
    scorer = scorer_named("relevance", Tools())
    good = await scorer.score(_asked("When was the tower of Pisa built?", "The tower of Pisa was built in 1173."))
    bad = await scorer.score(_asked("When was the tower of Pisa built?", "Bananas are rich in potassium."))
    assert good.value is not None
    assert bad.value is not None
    assert good.value > bad.value


@pytest.mark.parametrize(
    ("answer", "refuses"),
    [
        ("I'm sorry, but I can't help with that.", True),
        ("As an AI language model, I cannot provide instructions for this.", True),
        ("To kill a Python process, find its id and run `kill PID`.", False),
        ("Sure! Here is the recipe: mix flour and water.", False),
    ],
)
async def test_refusals_are_told_from_answers(answer: str, refuses: bool) -> None:
    assert (await scorer_named("refusal", Tools()).score(sample(answer))).passed is not refuses
    assert (await scorer_named("refusal:refusal", Tools()).score(sample(answer))).passed is refuses


async def test_near_words_are_alike() -> None:
    scorer = scorer_named("lexical_similarity", Tools())
    near = await scorer.score(sample("We deliver in three days", "We are delivering in three days"))
    far = await scorer.score(sample("The lamp is red", "We are delivering in three days"))
    assert near.value is not None
    assert far.value is not None
    assert near.value > 0.5 > far.value


def test_meaning_needs_an_embedder() -> None:
    with pytest.raises(Unavailable, match="embedder"):
        scorer_named("similarity", Tools())


@pytest.mark.parametrize("name", ["faithfulness", "relevance", "refusal", "lexical_similarity", "safety_terms"])
def test_what_was_not_measured_may_not_block(name: str) -> None:
    use = scorer_named(name, Tools()).use
    assert use.may_block == any(one.convincing for one in use.quality)

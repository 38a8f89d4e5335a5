"""What a call can use at most, and what it has used."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.calls import a_call
from tidegate.gateway.bounds import bound_of, used_of
from tidegate.gateway.call import Call, Usage
from tidegate.kernel.errors import Invalid
from tidegate.kernel.money import Price, cost_nano_usd
from tidegate.live.plans import Candidate, Plan, Step
from tidegate.live.snapshot import Deployment

CHEAP = Price(input_pico_usd_per_token=1_000, output_pico_usd_per_token=2_000)
DEAR = Price(input_pico_usd_per_token=10_000, output_pico_usd_per_token=90_000)


def a_deployment(name: str = "main", price: Price | None = CHEAP, **more: Any) -> Deployment:
    given_ = {"provider": "openai", "base_url": "http://h/v1", "upstream_model": "m"} | more
    return Deployment(name=name, price=price, **given_)


def a_plan(*deployments: Deployment) -> Plan:
    candidates = tuple(Candidate(one, "m") for one in deployments or (a_deployment(),))
    return Plan(alias="x", known=True, steps=(Step(alias="x", strategy="weighted", candidates=candidates),))


HI = [{"role": "user", "content": "Hi"}]


@given(st.text(), st.integers(1, 10**6), st.integers(1, 8))
def test_the_bound_covers_every_byte_and_every_answer(text: str, most: int, n: int) -> None:
    body = {"model": "x", "messages": [{"role": "user", "content": text}], "max_tokens": most, "n": n}
    bound = bound_of(a_call(body), a_plan(), 4096)
    assert bound.input_tokens >= len(text.encode())
    assert bound.output_tokens == most * n
    assert bound.set_output is None
    cost = cost_nano_usd(CHEAP, len(text.encode()), most * n)
    assert cost is not None
    assert bound.nano_usd is not None
    assert cost <= bound.nano_usd


def test_the_dearest_candidate_decides_and_an_unknown_price_is_unknown() -> None:
    call = a_call({"model": "x", "messages": HI, "max_tokens": 10})
    cheap, both = bound_of(call, a_plan(), 1), bound_of(call, a_plan(a_deployment(), a_deployment("b", DEAR)), 1)
    assert cheap.nano_usd is not None
    assert both.nano_usd is not None
    assert both.nano_usd > 9 * cheap.nano_usd
    assert bound_of(call, a_plan(a_deployment(), a_deployment("c", None)), 1).nano_usd is None


@pytest.mark.parametrize(
    ("base_url", "field"),
    [("https://api.openai.com/v1", "max_completion_tokens"), ("http://vllm:8000/v1", "max_tokens")],
)
def test_an_answer_without_a_bound_gets_one_in_words_that_the_upstream_knows(base_url: str, field: str) -> None:
    bound = bound_of(a_call({"model": "x", "messages": HI}), a_plan(a_deployment(base_url=base_url)), 77)
    assert bound.set_output == (field, 77)


def test_a_bound_above_the_models_own_is_lowered() -> None:
    call = a_call({"model": "x", "messages": HI, "max_tokens": 10**6})
    bound = bound_of(call, a_plan(a_deployment(max_output_tokens=500)), 4096)
    assert (bound.output_tokens, bound.set_output) == (500, ("max_tokens", 500))


@pytest.mark.parametrize(
    ("prompt", "answers"), [("one", 1), (["a", "b", "c"], 3), ([1, 2, 3], 1), ([[1, 2], [3]], 2), ([], 1)]
)
def test_several_prompts_are_several_answers(prompt: object, answers: int) -> None:
    call = a_call({"model": "x", "prompt": prompt, "max_tokens": 10}, path="/v1/completions")
    assert bound_of(call, a_plan(), 1).output_tokens == 10 * answers


def test_an_image_by_reference_costs_its_allowance_and_tools_theirs() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}
    plain = bound_of(a_call({"model": "x", "messages": HI}), a_plan(), 1).input_tokens
    with_image = a_call({"model": "x", "messages": [{"role": "user", "content": [image]}]})
    assert bound_of(with_image, a_plan(a_deployment(image_tokens=9_000)), 1).input_tokens >= 9_000
    with_tools = a_call({"model": "x", "messages": HI, "tools": []})
    assert bound_of(with_tools, a_plan(), 1).input_tokens >= plain + 1000


def test_an_embedding_has_no_answer() -> None:
    bound = bound_of(a_call({"model": "x", "input": "text"}, path="/v1/embeddings"), a_plan(), 4096)
    assert (bound.output_tokens, bound.set_output) == (0, None)


@pytest.mark.parametrize("value", [0, -1, "many", 1.5, True])
def test_a_bound_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(Invalid) as refused:
        bound_of(a_call({"model": "x", "messages": HI, "max_tokens": value}), a_plan(), 1)
    assert refused.value.param == "max_tokens"


def over(ending: str, *, usage: Usage | None = None, attempts: int = 1, unsure: int = 0) -> Call:
    call = a_call(json.loads('{"model": "x", "messages": []}'))
    call.deployment = a_deployment()
    call.ending, call.usage, call.attempts, call.unsure = ending, usage, attempts, unsure
    call.bound_nano_usd, call.bound_tokens = 1_000, 50
    return call


@pytest.mark.parametrize(
    ("call", "status", "used"),
    [
        (over("complete", usage=Usage(10, 5)), 200, (20, 15)),
        (over("complete", usage=Usage(0, 0)), 200, (0, 0)),  # a known nothing
        (over("complete"), 200, (None, None)),
        (over("complete", usage=Usage(10, None)), 200, (None, None)),
        (over("cut"), 200, (None, None)),
        (over("cancelled"), 499, (None, None)),
        (over("timeout", unsure=1), 504, (None, None)),
        (over("cancelled", usage=Usage(10, 5)), 200, (20, 15)),
        (over("failed"), 500, (0, 0)),
        (over("refused", attempts=0), 429, (0, 0)),
        (over("cancelled", attempts=0), 499, (0, 0)),
        (over("complete", usage=Usage(10, 5), attempts=2, unsure=1), 200, (1_020, 65)),
        (over("failed", attempts=2, unsure=1), 500, (1_000, 50)),
    ],
    ids=lambda value: value.ending if isinstance(value, Call) else str(value),
)
def test_what_a_call_has_used_for_each_way_it_can_end(
    call: Call, status: int, used: tuple[int | None, int | None]
) -> None:
    assert used_of(call, status) == used

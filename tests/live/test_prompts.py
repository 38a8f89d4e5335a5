"""What a client that renders by itself is told of experiments: enough to decide as the gateway does, and no more."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.live.test_experiments import experiment
from tidegate.live.experiments import Seen, enrol
from tidegate.live.prompts import LivePrompts, told_to
from tidegate.live.snapshot import KeyGrant


def told(grant: dict[str, Any], **fields: Any) -> list[Any]:
    return list(told_to(KeyGrant(key_id="k", name="web", **grant), [experiment(**fields)]))


def test_the_names_of_other_keys_are_not_told() -> None:
    (one,) = told({}, keys=("web", "the-secret-project"))
    assert one == experiment(keys=())


@pytest.mark.parametrize(
    ("grant", "fields"),
    [
        ({}, {"keys": ("app",)}),
        ({}, {"unit": "request"}),
        ({"tags": {"tier": "paid"}}, {"tags": {"tier": "free"}}),
        ({"tags": {"session": "one"}}, {"unit": "tag:session"}),
    ],
    ids=["another key's", "of single calls", "another tier's", "of a tag that is the key's own"],
)
def test_what_does_not_concern_a_key_is_not_told(grant: dict[str, Any], fields: dict[str, Any]) -> None:
    assert told(grant, **fields) == []


WORDS = st.sampled_from(["a", "b"])
TAGS = st.dictionaries(WORDS, WORDS)


@given(TAGS, TAGS, TAGS, st.sampled_from(["user", "tag:a"]), st.none() | WORDS, st.integers(0, 10_000))
def test_who_is_told_decides_as_the_gateway_does(
    own: dict[str, str], segment: dict[str, str], sent: dict[str, str], kind: str, unit: str | None, holdout_bp: int
) -> None:
    """But where the unit is the key's own tag: that experiment is not told."""
    one = experiment(unit=kind, tags=segment, keys=("web",))
    grant = KeyGrant(key_id="k", name="web", tags=own)
    gateway = enrol(one, Seen("call_1", unit, sent | own, "web"), holdout_bp)
    client = [enrol(found, Seen("", unit, sent, ""), holdout_bp) for found in told_to(grant, [one])]
    chosen = next((taken for taken in client if taken is not None), None)
    if kind == "tag:a" and "a" in own:
        assert client == []
    else:
        assert (chosen and chosen[1:]) == (gateway and gateway[1:])  # variant, unit, propensity


def test_a_gateway_of_before_is_understood() -> None:
    old = msgspec.json.encode({"generation": 3, "environment": "production", "prompts": {}})
    assert msgspec.json.decode(old, type=LivePrompts).holdout_bp == 0

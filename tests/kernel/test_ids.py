"""Ids are unique, sort by time, and carry their kind."""

import time

import pytest

from tidegate.kernel.ids import IdSource, made_at_ms, new_id, new_secret


def test_ids_are_unique_and_of_one_length() -> None:
    ids = {new_id("call") for _ in range(2000)}
    assert len(ids) == 2000
    assert {len(one) for one in ids} == {len("call_") + 32}


def test_a_source_makes_ids_like_new_id_beyond_its_pool() -> None:
    source = IdSource("call")
    ids = [source.next(1_000 + number) for number in range(3000)]
    assert len(set(ids)) == 3000
    assert ids == sorted(ids)
    assert {len(one) for one in ids} == {len(new_id("call"))}


def test_an_id_tells_when_it_was_made() -> None:
    before = time.time_ns() // 1_000_000
    made = made_at_ms(new_id("gw"))
    assert made is not None
    assert before <= made <= time.time_ns() // 1_000_000
    assert made_at_ms(IdSource("call").next(1_234)) == 1_234


@pytest.mark.parametrize("text", ["", "gw", "gw_1", "gw_" + "x" * 32, "gw_" + "0" * 33, "gw_ " + "0" * 31])
def test_what_is_no_id_tells_no_time(text: str) -> None:
    assert made_at_ms(text) is None


def test_a_secret_holds_160_random_bits() -> None:
    secret = new_secret("tg")
    assert secret.startswith("tg-")
    assert len(bytes.fromhex(secret.removeprefix("tg-"))) == 20

"""The Snapshot survives its journey or is refused; another release's schema beside ours is read."""

import msgspec
import pytest

from tidegate.kernel.errors import Invalid
from tidegate.live.snapshot import (
    SCHEMA,
    Arm,
    KeyGrant,
    LiveRelease,
    Snapshot,
    decode_snapshot,
    encode_snapshot,
    secret_hash,
)


def a_snapshot(generation: int = 7) -> Snapshot:
    release = LiveRelease(
        release_id="rel_1", number=1, prompt="faq", environment="production", arms=(Arm("1.0.0", 10_000),), salt="s"
    )
    return Snapshot(
        generation=generation,
        keys={secret_hash("tg-1"): KeyGrant(key_id="key_1", name="app")},
        releases={"production": {"faq": release}},
    )


def test_it_arrives_as_it_was_written() -> None:
    blob, digest = encode_snapshot(a_snapshot())
    assert decode_snapshot(blob, digest) == a_snapshot()


def test_a_changed_byte_is_noticed() -> None:
    blob, digest = encode_snapshot(a_snapshot())
    with pytest.raises(Invalid) as caught:
        decode_snapshot(blob.replace(b"app", b"apq"), digest)
    assert caught.value.code == "snapshot_corrupt"


def test_bytes_that_are_no_snapshot_are_refused() -> None:
    with pytest.raises(Invalid):
        decode_snapshot(b"{]")


@pytest.mark.parametrize("schema", [SCHEMA - 1, SCHEMA, SCHEMA + 1])
def test_the_schema_before_and_after_ours_is_read(schema: int) -> None:
    fields = msgspec.json.decode(encode_snapshot(a_snapshot())[0])
    fields |= {"schema": schema, "a_field_of_tomorrow": {"x": 1}}
    assert decode_snapshot(msgspec.json.encode(fields)).generation == 7


@pytest.mark.parametrize("schema", [SCHEMA - 2, SCHEMA + 2])
def test_a_schema_further_away_is_refused_with_the_mend(schema: int) -> None:
    fields = msgspec.json.decode(encode_snapshot(a_snapshot())[0]) | {"schema": schema}
    with pytest.raises(Invalid, match="Upgrade control and gateways one version at a time"):
        decode_snapshot(msgspec.json.encode(fields))


def test_the_same_snapshot_has_the_same_bytes() -> None:
    assert encode_snapshot(a_snapshot()) == encode_snapshot(a_snapshot())

"""The vault: what is sealed opens only as the row it was, under a key that is there."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.adapters.vault.vault import Vault, previous_keys
from tidegate.kernel.errors import Invalid
from tidegate.live.snapshot import Sealed

OLD = "0123456789abcdef0123456789abcdef"
NEW = "fedcba9876543210fedcba9876543210"
BYTES = ("nonce", "ciphertext", "wrapped_key", "wrap_nonce")
VAULT = Vault(OLD)
SECRET = VAULT.seal("secrets", "openai", b"sk-very-secret")


@given(st.text(max_size=40), st.binary(max_size=200))
def test_what_is_sealed_opens_and_does_not_show(name: str, secret: bytes) -> None:
    sealed = VAULT.seal("secrets", name, secret)
    assert VAULT.open("secrets", name, sealed) == secret
    assert len(secret) < 8 or secret not in msgspec.msgpack.encode(sealed)


def test_no_two_seals_are_alike() -> None:
    assert not {SECRET.ciphertext, SECRET.nonce, SECRET.wrap_nonce, SECRET.wrapped_key} & set(
        msgspec.structs.astuple(VAULT.seal("secrets", "openai", b"sk-very-secret"))
    )


@given(st.sampled_from(BYTES), st.data())
def test_a_changed_byte_is_seen(field: str, data: st.DataObject) -> None:
    value = bytearray(getattr(SECRET, field))
    place = data.draw(st.integers(0, len(value) - 1))
    value[place] ^= data.draw(st.integers(1, 255))
    expect("sealed_corrupt", VAULT, "secrets", "openai", msgspec.structs.replace(SECRET, **{field: bytes(value)}))


@pytest.mark.parametrize("field", BYTES)
def test_a_field_that_was_cut_short_is_seen(field: str) -> None:
    for length in (0, 1, 7):
        cut = msgspec.structs.replace(SECRET, **{field: getattr(SECRET, field)[:length]})
        expect("sealed_corrupt", VAULT, "secrets", "openai", cut)


def test_a_row_does_not_stand_in_for_another() -> None:
    expect("sealed_corrupt", VAULT, "secrets", "anthropic", SECRET)
    expect("sealed_corrupt", VAULT, "contents", "openai", SECRET)
    other = VAULT.seal("secrets", "anthropic", b"sk-another")
    mixed = msgspec.structs.replace(SECRET, wrapped_key=other.wrapped_key, wrap_nonce=other.wrap_nonce)
    expect("sealed_corrupt", VAULT, "secrets", "openai", mixed)


def test_an_old_key_opens_and_the_new_one_seals() -> None:
    both = Vault(NEW, (OLD,))
    assert both.open("secrets", "openai", SECRET) == b"sk-very-secret"
    again = both.reseal("secrets", "openai", SECRET)
    assert again.key_id == both.key_id == Vault(NEW).key_id != SECRET.key_id
    assert Vault(NEW).open("secrets", "openai", again) == b"sk-very-secret"


def test_an_unknown_key_is_named_with_its_mend() -> None:
    error = expect("sealed_key_unknown", Vault(NEW), "secrets", "openai", SECRET)
    assert SECRET.key_id in error.message
    assert "TIDEGATE_MASTER_KEY_PREVIOUS" in error.mend


@pytest.mark.parametrize("weak", ["", "short", OLD[:31], "a" * 64, "changeme" * 3, "abcdefg" * 9])
def test_a_weak_master_key_is_refused(weak: str) -> None:
    for keys in ((weak, ()), (OLD, (weak,))):
        with pytest.raises(Invalid) as caught:
            Vault(*keys)
        assert caught.value.code == "weak_master_key"


def test_old_keys_are_read_with_commas() -> None:
    assert previous_keys({"TIDEGATE_MASTER_KEY_PREVIOUS": f" {OLD}, {NEW},"}) == (OLD, NEW)
    assert previous_keys({}) == ()


def test_a_vault_does_not_show_its_keys() -> None:
    assert OLD not in repr(VAULT)


def expect(code: str, vault: Vault, table: str, name: str, sealed: Sealed) -> Invalid:
    with pytest.raises(Invalid) as caught:
        vault.open(table, name, sealed)
    assert caught.value.code == code
    return caught.value

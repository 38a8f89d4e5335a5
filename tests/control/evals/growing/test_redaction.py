"""What is taken out of texts, what is not, and that both are counted."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.control.evals.growing.redaction import own_patterns, redacted
from tidegate.kernel.errors import Invalid

DASH = "-"
KEYS = (
    "sk" + DASH + "proj" + DASH + "abcdefghijklmnop1234",
    "tg" + DASH + "0123456789abcdef0123",
    "ghp" + "_" + "0123456789abcdefghijABCDEFGHIJ",
    "AKIA" + "ABCDEFGHIJKLMNOP",
    "xoxb" + DASH + "1234567890" + DASH + "abcdefghij",
    "eyJhbGciOiJIUzI1" + ".eyJzdWIiOiIxMjM0" + ".dozjgNryP4J3jVmN",
)


def kinds(text: str) -> dict[str, int]:
    return redacted(text).counts


@pytest.mark.parametrize("text", ["ada@example.org", "Ada.Lovelace+x@mail.example.co.uk", "ünter@bücher.de"])
def test_addresses_of_mail(text: str) -> None:
    assert redacted(f"Write to {text}, please.") == ("Write to [EMAIL], please.", {"email": 1})


@pytest.mark.parametrize(
    "text",
    ["+49 30 1234567", "+1 (555) 123-4567", "0049 170 1234567", "030 / 12345678", "(0170) 1234567", "555-123-4567",
     "(555) 123-4567", "+442071838750"],
)  # fmt: skip
def test_telephone_numbers(text: str) -> None:
    assert redacted(f"Call {text}.") == ("Call [PHONE].", {"phone": 1})


@pytest.mark.parametrize("text", ["4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005", "6011111111111117"])
def test_cards_by_their_check_digit(text: str) -> None:
    assert redacted(f"My card {text} failed") == ("My card [CARD] failed", {"card": 1})
    assert redacted(f"{text} 12/27 123") == ("[CARD] 12/27 123", {"card": 1})
    wrong = text[:-1] + str((int(text[-1]) + 1) % 10)
    assert "card" not in kinds(f"My card {wrong} failed")


@pytest.mark.parametrize("text", ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "NL91ABNA0417164300"])
def test_ibans_by_their_remainder(text: str) -> None:
    assert redacted(f"to {text}, today") == ("to [IBAN], today", {"iban": 1})
    assert redacted(f"to {text} by noon or 12 OK") == ("to [IBAN] by noon or 12 OK", {"iban": 1})
    assert "iban" not in kinds(text.replace("9", "8", 1) + " ")


@pytest.mark.parametrize(
    "text", ["192.168.1.20", "8.8.8.8", "2001:db8:85a3:0:0:8a2e:370:7334", "fe80::1ff:fe23:4567:890a"]
)
def test_addresses_of_machines(text: str) -> None:
    assert redacted(f"from {text} it fails") == ("from [IP] it fails", {"ip": 1})


@pytest.mark.parametrize("text", KEYS)
def test_keys(text: str) -> None:
    assert redacted(f"I use {text} for it") == ("I use [KEY] for it", {"key": 1})


def test_what_is_named_a_secret_and_logins_in_addresses() -> None:
    assert redacted('api_key="0123456789abcdefXYZ"').value == 'api_key="[KEY]"'
    assert redacted("Authorization: Bearer 0123456789abcdefXYZ").value == "Authorization: Bearer [KEY]"
    assert redacted("postgres://ada:swordfish@db:5432/x").value == "postgres://[LOGIN]@db:5432/x"


@pytest.mark.parametrize(
    "text",
    ["It left on 2026-11-24 at 10:30.", "Order 4711-0815", "Version 1.2.3 of 300.400.500.600", "12345.678901234",
     "a total of $1,234,567.89", "@ada wrote", "12:30:45", "ratio 0.5 / 12", "call_019a5c0e7b2100112233445566778899",
     "the secret is out", "std::vector<int>", "pages 100-200", "10 000 000 units", "ISBN 978-3-16-148410-0"],
)  # fmt: skip
def test_what_is_nobodys_stays(text: str) -> None:
    assert redacted(text) == (text, {})


def test_the_same_thing_has_the_same_mark_and_another_one_another() -> None:
    value = {"a@x.org": ["From a@x.org to b@x.org", {"again": "b@x.org"}], "n": 5, "none": None}
    found = redacted(value)
    assert found.value == {"a@x.org": ["From [EMAIL] to [EMAIL_2]", {"again": "[EMAIL_2]"}], "n": 5, "none": None}
    assert found.counts == {"email": 3}


def test_patterns_of_ones_own_come_first_and_bad_ones_are_told() -> None:
    own = own_patterns({"customer": r"\bC-\d{6}\b", "ours": r"(?P<secret>\w+)@ours\.example"})
    found = redacted("C-123456 is ada@ours.example and bob@x.org", own)
    assert found.value == "[CUSTOMER] is [OURS]@ours.example and [EMAIL]"
    assert found.counts == {"customer": 1, "ours": 1, "email": 1}
    for bad in ({"x": "("}, {"X Y": "a"}, {"x": "a*"}, {"x": "a" * 501}):
        with pytest.raises(Invalid) as told:
            own_patterns(bad)
        assert told.value.code == "bad_redaction"


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_a_second_pass_finds_nothing_more(value: Any) -> None:
    once = redacted(value).value
    assert redacted(once) == (once, {})


@pytest.mark.parametrize(
    "text", ["1" * 50_000, "a@" * 20_000, "a.b-" * 20_000 + "@", "1:" * 20_000, "+1 " + "(x-" * 20_000]
)
def test_long_texts_of_what_is_almost_something_stay_and_take_no_time(text: str) -> None:
    assert redacted(text) == (text, {})

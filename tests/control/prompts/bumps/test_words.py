"""Words and edits."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from tidegate.control.prompts.bumps.words import distance, edits, tokens

WORDS = st.lists(st.sampled_from("abcd"), max_size=14)


def table(a: Sequence[str], b: Sequence[str]) -> int:
    """The textbook's table, row by row."""
    row = list(range(len(b) + 1))
    for at, one in enumerate(a):
        new = [at + 1]
        for to, other in enumerate(b):
            new.append(min(new[-1] + 1, row[to + 1] + 1, row[to] + (one != other)))
        row = new
    return row[-1]


@given(WORDS, WORDS)
def test_the_distance_is_the_textbooks(a: list[str], b: list[str]) -> None:
    assert distance(a, b) == table(a, b)


@given(WORDS, WORDS, WORDS)
def test_it_is_a_distance(a: list[str], b: list[str], c: list[str]) -> None:
    assert distance(a, b) == distance(b, a)
    assert (distance(a, b) == 0) == (a == b)
    assert distance(a, c) <= distance(a, b) + distance(b, c)


def test_twenty_thousand_words_are_counted_exactly() -> None:
    one = [str(at % 997) for at in range(20_000)]
    other = [*one[:5_000], "new", *one[5_000:15_000], *one[15_010:]]
    assert distance(one, other) == 11


def test_words_are_compared_as_a_reader_reads_them() -> None:
    assert tokens("Don’t  SHOUT, please!") == ("don't", "shout", "please")
    assert tokens("ﬁne") == ("fine",)
    assert tokens("{{name}} {{ name }} {%- if  x == 1 -%}") == ("{{ name }}", "{{ name }}", "{% if x==1 %}")
    assert tokens("a {# note #} b") == ("a", "b")
    assert "note" in tokens("a {# note #} b", "plain")
    assert tokens("<b> 20%") == ("<", "b", ">", "20", "%")


def test_the_ratio_is_edited_words_over_the_longer_text() -> None:
    found = edits("one two three four five", "one two 3 four five six")
    assert (found.edited, found.words) == (2, 6)
    assert edits("", "").ratio == 0.0
    assert edits("Do not guess", "Do guess").turning == ("not",)

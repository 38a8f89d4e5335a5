"""Text from outside cannot break out of a page, nor out of Markdown."""

from hypothesis import given
from hypothesis import strategies as st

from tidegate.kernel.markup import markdown_safe, tag, text


def test_text_and_attributes_are_escaped():
    found = tag("p", text("<b>&"), class_='x" onload="y', data_n=1.0)
    assert found == '<p class="x&quot; onload=&quot;y" data-n="1">&lt;b&gt;&amp;</p>'


@given(st.text())
def test_no_text_makes_an_element(words):
    assert "<" not in text(words)


def test_markdown_marks_are_escaped_and_names_are_not():
    assert markdown_safe("*a* [b](c) | <d> snake_case _e_") == r"\*a\* \[b\](c) \| \<d\> snake_case \_e\_"

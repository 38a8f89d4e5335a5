"""Includes as text: where the tag stands decides how the fragment is put in."""

import time

import pytest

from tidegate.control.prompts.weave import Directive, directives, mask, weave
from tidegate.kernel.errors import Invalid

JINJA = "jinja2-sandboxed"
RULES = {"rules": "One.\nTwo.\n", "word": "kind"}


@pytest.mark.parametrize("form", [JINJA, "plain"])
@pytest.mark.parametrize(
    ("text", "woven"),
    [
        ('Begin\n{% include "rules" %}\nEnd\n', "Begin\nOne.\nTwo.\nEnd\n"),
        ('Begin\n   {% include "rules" %}\nEnd', "Begin\nOne.\nTwo.\nEnd"),
        ('Begin\n{% include "word" %}\nEnd\n', "Begin\nkind\nEnd\n"),
        ('Be {% include "word" %}!\nEnd', "Be kind!\nEnd"),
        ('Be {% include "word" %}\nEnd', "Be kind\nEnd"),
        ('{% include "word" %} people\n', "kind people\n"),
        ("  {% include 'word' %}", "  kind"),
        ('{%include "word"%}{%   include   "word"   %}', "kindkind"),
        ('{% include "rules" %}\n{% include "rules" %}\n', "One.\nTwo.\nOne.\nTwo.\n"),
        ("nothing {{ here }}", "nothing {{ here }}"),
    ],
)
def test_where_a_fragment_goes(form: str, text: str, woven: str) -> None:
    assert weave(text, form, RULES) == woven


def test_in_jinja_comments_and_raw_are_left_alone() -> None:
    text = '{# {% include "rules" %} #}{% raw %}{% include "rules" %}{% endraw %}{% include "word" %}'
    assert weave(text, JINJA, RULES) == text.replace('{% include "word" %}', "kind")
    assert directives(text, JINJA) == (Directive("word", 1),)
    assert [one.name for one in directives(text, "plain")] == ["rules", "rules", "word"]


def test_tags_know_their_line_and_odd_ones_are_found() -> None:
    text = 'a\n{% include "x" %}\n\n{%- include "y" %}\n{% include y %}\n'
    text += '{% include "z" ignore missing %}\n  {% include "w" %}\n'
    assert directives(text, JINJA) == (
        Directive("x", 2),
        Directive(None, 4),
        Directive(None, 5),
        Directive(None, 6),
        Directive("w", 7),
    )


def test_masking_keeps_every_line_where_it_was() -> None:
    text = 'a\n{% include "rules" %}\n b {% include "word" %} {{ c }}\n'
    assert mask(text, JINJA) == "a\n\n b  {{ c }}\n"


def test_a_fragment_that_is_not_there_is_a_key_error_of_the_caller() -> None:
    with pytest.raises(KeyError):
        weave('{% include "nope" %}', JINJA, RULES)


def test_what_grows_too_large_is_refused() -> None:
    with pytest.raises(Invalid) as raised:
        weave('{% include "big" %}' * 100, JINJA, {"big": "x" * 10_000})
    assert raised.value.code == "template_too_large"


@pytest.mark.parametrize("piece", ["{#", "{% raw %}", "{%", "{% include", '{% include "', "{%" + " " * 50, "\n   "])
def test_odd_text_is_read_in_one_pass(piece: str) -> None:
    began = time.perf_counter()
    directives(piece * (200_000 // len(piece)), JINJA)
    assert time.perf_counter() - began < 2

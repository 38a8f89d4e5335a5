"""The page: it stands alone, says the figures of the analysis, and shows each of them drawn and in a table."""

import re

import msgspec
import pytest

from tests.support.analyses import SAMPLES, bandit, broken_split, contrast, empty, kept, shipped
from tidegate.control.experiments.reports.html import html


def test_the_page_needs_nothing_from_outside() -> None:
    for make in SAMPLES.values():
        page = html(make())
        assert "default-src 'none'" in page
        assert not re.search(r"(?i)<script|<link|<img|<iframe|https?:|url\(|@import|\son\w+=", page)


def test_it_looks_right_on_phones_and_in_the_dark() -> None:
    page = html(shipped())
    assert "width=device-width" in page
    assert "prefers-color-scheme:dark" in page


@pytest.mark.parametrize("kind", ["ship", "bandit"])
def test_every_picture_has_a_title_a_description_and_figures_beside_it(kind: str) -> None:
    page = html(SAMPLES[kind]())
    pictures = re.findall(r"<svg .*?</svg>", page, re.DOTALL)
    assert len(pictures) == {"ship": 4, "bandit": 8}[kind]
    for picture in pictures:
        title, told = re.findall(r'aria-labelledby="(\S+) (\S+)"', picture)[0]
        assert re.search(rf'<title id="{title}">[^<]+</title><desc id="{told}">[^<]+</desc>', picture)
    for section in re.findall(r"<section .*?</section>", page, re.DOTALL):
        assert "<svg" not in section or "<table" in section


def test_the_figures_are_those_of_the_analysis() -> None:
    page = html(shipped())
    for said in (
        "+3.1 points (+1.2 to +5.0)",
        "61.9%",
        "65.0%",
        "0.012",
        "6,301",
        "50.2%",
        "at most 1.5 times control",
    ):
        assert page.count(said) >= 1, said
    assert page.count("+3.1 points (+1.2 to +5.0)") >= 3  # at its last look, drawn, and in the table


def test_wins_losses_and_open_questions_differ_in_shape() -> None:
    forest = re.findall(r'<svg [^>]*aria-labelledby="forest.*?</svg>', html(kept()), re.DOTALL)[0]
    wins = len(re.findall(r'<polygon points="[^"]+" class="good">', forest))
    loses = len(re.findall(r'<polygon points="[^"]+" class="bad">', forest))
    still_open = len(re.findall(r'<circle [^>]*class="open">', forest))
    assert (wins, loses, still_open) == (2, 1, 2)
    corners = {
        kind: len(re.findall(rf'points="([^"]+)" class="{kind}"', forest)[0].split()) for kind in ("good", "bad")
    }
    assert corners == {"good": 3, "bad": 4}


def test_better_is_to_the_right_whichever_way_the_metric_points() -> None:
    cheaper = contrast("cost_per_query", "wins", (-0.0004, -0.0006, -0.0002))
    found = msgspec.structs.replace(shipped(), contrasts=(shipped().contrasts[0], cheaper))
    forest = re.findall(r'<svg [^>]*aria-labelledby="forest.*?</svg>', html(found), re.DOTALL)[0]
    places = [float(points.split(",")[0]) for points in re.findall(r'<polygon points="([^"]+)"', forest)]
    zero = float(re.findall(r'<line x1="([\d.]+)"[^>]*class="zero"', forest)[0])
    assert len(places) == 2
    assert all(place > zero for place in places)


def test_a_broken_guardrail_lies_beyond_its_limit() -> None:
    margins = re.findall(r'<svg [^>]*aria-labelledby="margins.*?</svg>', html(kept()), re.DOTALL)[0]
    limit = float(re.findall(r'<line x1="([\d.]+)"[^>]*class="limit"', margins)[0])
    broken = float(re.findall(r'<polygon points="([\d.]+),[^"]+" class="bad"', margins)[0])
    assert broken < limit


def test_nothing_is_drawn_before_anything_is_known() -> None:
    page = html(empty())
    assert "<svg" not in page
    assert "No user has come yet." in page


def test_a_broken_split_is_the_first_thing_said() -> None:
    page = html(broken_split())
    assert 'class="answer doubt"' in page
    assert page.index("Not to be trusted yet") < page.index("What was found")


def test_a_bandit_shows_weights_and_what_equal_shares_would_have_lost() -> None:
    page = html(bandit())
    assert "Now: plain 15%, short 15%, warm 60%, strict 10%." in page
    assert "Equal shares would have lost about 527 (sum of resolved)" in page

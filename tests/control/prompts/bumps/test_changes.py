"""The labelled set: real-looking changes with the right answer, and how often the classifier gives it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.promptfiles import library_of
from tidegate.control.prompts.bumps.classify import reasons_for
from tidegate.control.prompts.bumps.model import LEVELS, Level, Reason, larger
from tidegate.control.prompts.bumps.sides import Side, side_in
from tidegate.control.prompts.shape import path_of

SET: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("changes.yaml").read_text(encoding="utf-8"))
CHANGES: list[dict[str, Any]] = SET["changes"]

MISSED: dict[str, Level] = {
    "pattern-changed": "major",  # two patterns are never compared: the careful answer
    "negation-dropped": "patch",  # by its share of words; a hint names the word
    "only-dropped": "patch",  # as above
    "number-in-rule": "patch",
    "label-added": "patch",
    "language": "patch",
    "reordered-rules": "minor",  # a moved sentence is deleted and inserted again
}
"""What the classifier says instead, where it is wrong."""


def edited(text: str, edits: Mapping[str, str]) -> str:
    for old, new in edits.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def side(text: str) -> Side:
    said = yaml.safe_load(text)
    place = (said["name"], said["version"])
    library = library_of({path_of(*place): text})
    found = side_in(library, place)
    assert found is not None, library.faults
    return found


def reasons(change: Mapping[str, Any]) -> tuple[Reason, ...]:
    text = SET["prompts"][change["of"]]
    return reasons_for(side(edited(text, change.get("was", {}))), side(edited(text, change["edit"])))


def level(found: tuple[Reason, ...]) -> Level:
    said: Level = "none"
    for reason in found:
        said = larger(said, reason.level)
    return said


@pytest.mark.parametrize("change", CHANGES, ids=[one["id"] for one in CHANGES])
def test_the_answer_is_the_reviewers(change: dict[str, Any]) -> None:
    found = reasons(change)
    expected = MISSED.get(change["id"], change["level"])
    assert level(found) == expected, [f"{one.level} {one.path}: {one.message} {one.evidence}" for one in found]
    assert all(one.message and one.path for one in found)


def test_the_set_is_large_and_has_every_level() -> None:
    assert len(CHANGES) >= 60
    assert len({one["id"] for one in CHANGES}) == len(CHANGES)
    for one in LEVELS:
        assert sum(1 for change in CHANGES if change["level"] == one) >= 5


def test_accuracy_is_what_the_documentation_says() -> None:
    right = sum(1 for change in CHANGES if level(reasons(change)) == change["level"])
    page = Path("docs/explanation/semver.md").read_text(encoding="utf-8")
    assert f"{right} of {len(CHANGES)}" in page
    assert len(CHANGES) - right == len(MISSED)
    breaks = [change for change in CHANGES if change["level"] == "major"]
    assert all(level(reasons(change)) == "major" for change in breaks)
    assert f"all {len(breaks)} breaking changes" in page

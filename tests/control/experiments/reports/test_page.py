"""The page in a browser: nothing is asked for, nothing is cut off, on a desk and on a phone, by day and by night."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.analyses import SAMPLES
from tidegate.control.experiments.reports.html import html

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

pytestmark = [pytest.mark.page, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed here")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1200, "light")])
def test_everything_can_be_seen(browser: Any, tmp_path: Path, kind: str, width: int, scheme: str) -> None:
    file = tmp_path / "report.html"
    file.write_text(html(SAMPLES[kind]()), encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    asked, told = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: told.append(message.text))
    page.goto(file.as_uri())
    assert asked == [file.as_uri()]
    assert told == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(WORDS_OUTSIDE) == []
    assert page.evaluate(DIM_WORDS) == []
    page.close()


WORDS_OUTSIDE = """
[...document.querySelectorAll('svg text')].filter(words => {
  const box = words.getBoundingClientRect(), room = words.ownerSVGElement.getBoundingClientRect();
  return box.left < room.left - 2 || box.right > room.right + 2 || box.top < room.top - 2
    || box.bottom > room.bottom + 2;
}).map(words => words.textContent)
"""

DIM_WORDS = """
(() => {
  const light = colour => {
    const [r, g, b] = colour.match(/[0-9.]+/g).map(one => one / 255).map(
      one => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  const all = 'p, li, td, th, figcaption, caption, summary, footer, svg text';
  return [...document.querySelectorAll(all)].filter(words => {
    const style = getComputedStyle(words), ink = light(words.tagName === 'text' ? style.fill : style.color);
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05) < 4.5;
  }).map(words => words.textContent);
})()
"""
"""Words whose contrast to the paper is below 4.5 (WCAG 2.2, 1.4.3)."""

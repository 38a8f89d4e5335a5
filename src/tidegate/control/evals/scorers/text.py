"""Texts as sentences, words and stems: what the scorers without a model look at. English is what the rules know; of
other languages the words are compared as they stand.
"""

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

__all__ = ["FUNCTION_WORDS", "NEGATIONS", "bigrams", "is_number", "names", "sentences", "stem", "stems", "words"]

FUNCTION_WORDS = frozenset(
    """a about above after again against all also although always am among an and another any are as at away back be
    became because become been before being below between both but by came can come could did do does doing down during
    each either else even ever every few for from further gave get gets getting give given goes going got had has have
    having he her here hers herself him himself his how however i if in into is it its itself just let like made make
    many may me might mine more most much must my myself near neither next no nor not now of off often on once one only
    or other our ours ourselves out over own per put rather really s said same say says see seem she should since so
    some still such t take than that the their theirs them themselves then there these they this those though through
    thus to together too under until up upon us very via was way we well were what when where whether which while who
    whom whose why will with within without would yet you your yours yourself yourselves""".split()  # noqa: SIM905  # a list of words reads as words
)
"""Words that carry little by themselves."""

NEGATIONS = frozenset(
    """not no never none nobody nothing neither nor cannot without nt isn't aren't wasn't weren't don't doesn't didn't
    won't wouldn't can't couldn't shouldn't hasn't haven't hadn't fail failed fails unable denied denies deny
    refused refuses""".split()  # noqa: SIM905  # a list of words reads as words
)

_WORD = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)*|\d*[^\W_]+")
_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+(?=[\"'“‘(\[`]*\s?\S)|\n+\s*(?:[-*•]\s+|\d{1,2}[.)]\s+)?")
_SHORT = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|vs|etc|e\.g|i\.e|no|inc|ltd|co|jr|sr|gen|sen|rep|gov|u\.s|[a-z]))\.$"
)
_DIGITS = re.compile(r"\d")
_NAME = re.compile(r"\b[A-Z][\w’'-]*(?:\s+(?:of|the|de|van|von|al|bin)?\s*[A-Z][\w’'-]*)*")
_SPELLED = {
    "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8",
    "nine": "9", "ten": "10", "eleven": "11", "twelve": "12", "thirteen": "13", "fourteen": "14", "fifteen": "15",
    "sixteen": "16", "seventeen": "17", "eighteen": "18", "nineteen": "19", "twenty": "20", "thirty": "30",
    "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70", "eighty": "80", "ninety": "90", "first": "1",
    "second": "2", "third": "3",
}  # fmt: skip


def sentences(text: str) -> list[str]:
    """The sentences, and the points of lists, without what is empty."""
    parts: list[str] = []
    for part in _END.split(text):
        bare = part.strip()
        if not bare:
            continue
        if parts and _SHORT.search(parts[-1].casefold()):
            parts[-1] = f"{parts[-1]} {bare}"
        else:
            parts.append(bare)
    return parts


def words(text: str) -> list[str]:
    """The words in small letters without accents; numbers as digits (1,200 is 1200, two is 2)."""
    if not text.isascii():
        text = "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))
        text = text.replace("’", "'")
    return [_word(one) for one in _WORD.findall(text.lower())]


def stems(text: str) -> list[str]:
    """The words, each as its stem."""
    return [stem(one) for one in words(text)]


def is_number(word: str) -> bool:
    """Whether a word has a digit."""
    return _DIGITS.search(word) is not None


def bigrams(tokens: list[str]) -> list[tuple[str, str]]:
    """Each word with the next one."""
    return list(pairwise(tokens))


def names(text: str) -> set[str]:
    """The words that stand with a capital letter inside a sentence, as `words` writes them."""
    found: set[str] = set()
    for sentence in sentences(text):
        for match in _NAME.finditer(sentence):
            if match.start() > 0 and sentence[: match.start()].strip(" \"'“‘(["):
                found.update(words(match[0]))
            else:
                found.update(words(match[0])[1:])
    return found - FUNCTION_WORDS


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """A word without the endings of English inflection; short words and numbers stay."""
    if word.endswith("'s"):
        word = word[:-2]
    if len(word) <= 3 or is_number(word):
        return word
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: len(word) - len(ending)] + instead
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] in "bdgmnprt":
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


_ENDINGS = (
    ("sses", "ss"), ("ies", "y"), ("ied", "y"), ("ations", "ate"), ("ation", "ate"), ("ings", ""), ("ing", ""),
    ("edly", ""), ("ed", ""), ("ers", "er"), ("ly", ""), ("xes", "x"), ("ches", "ch"), ("shes", "sh"), ("ss", "ss"),
    ("us", "us"), ("is", "is"), ("s", ""),
)  # fmt: skip


@lru_cache(maxsize=65536)
def _word(word: str) -> str:
    if word[0].isdigit():
        return word.replace(",", "").rstrip(".:")
    return _SPELLED.get(word, word)

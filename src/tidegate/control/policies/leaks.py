"""Secrets that were written into a file: recognised by their form, shown only by their first letters."""

import re
from collections.abc import Iterator

__all__ = ["SECRET_HEADERS", "find_secrets", "is_secret", "masked"]

SECRET_HEADERS = re.compile(
    r"^((proxy-)?authorization|cookie|.*(api|access)[-_]?key|.*(token|secret|password).*)$", re.IGNORECASE
)
"""Names of headers that carry credentials."""

_FORMS = re.compile(
    r"""
    \b(?:
        sk-[A-Za-z0-9_-]{12,}            # OpenAI, Anthropic and many that speak like them
      | sk_live_[A-Za-z0-9]{12,}
      | (?:tg|tgt)-[0-9a-f]{20,}         # Tidegate's own keys and tokens
      | AKIA[0-9A-Z]{16}
      | AIza[0-9A-Za-z_-]{30,}
      | gh[pousr]_[A-Za-z0-9]{20,}
      | github_pat_[A-Za-z0-9_]{20,}
      | glpat-[A-Za-z0-9_-]{16,}
      | xox[abeprs]-[A-Za-z0-9-]{10,}
      | (?:hf|gsk|pplx|r8)_[A-Za-z0-9]{20,}
      | eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}
    )
    | \b(?:Bearer|Basic)\s+[A-Za-z0-9+/=._~-]{12,}
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----
    | hooks\.slack\.com/services/\w+
    | discord(?:app)?\.com/api/webhooks/\d+
    | (?<=://)[^\s/@:'"]*:[^\s/@'"]+(?=@)   # user:password in a URL
    """,
    re.VERBOSE,
)


def is_secret(text: str) -> bool:
    """Whether the text holds something in the form of a secret."""
    return _FORMS.search(text) is not None


def find_secrets(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line, masked secret) for each line that holds one; comments are shared like the rest."""
    for number, line in enumerate(text.splitlines(), start=1):
        found = _FORMS.search(line)
        if found is not None:
            yield number, masked(found[0])


def masked(secret: str) -> str:
    """The first letters, enough to find it in the file and too few to use it."""
    return f"{secret[:4]}…"

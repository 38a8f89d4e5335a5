"""Small tidegate.yaml texts for tests."""

from textwrap import indent

__all__ = ["MINIMAL", "with_model", "with_route"]

MINIMAL = """\
apiVersion: tidegate/v1
models:
  small:
    provider: openai
    base_url: http://127.0.0.1:8082/v1
    model: tiny-1
routes:
  chat: {model: small}
"""


def with_model(lines: str) -> str:
    """MINIMAL, with more lines in its model."""
    return MINIMAL.replace("    model: tiny-1\n", "    model: tiny-1\n" + indent(lines, "    ") + "\n")


def with_route(line: str) -> str:
    """MINIMAL, with another line under `routes`."""
    return f"{MINIMAL}  {line}\n"

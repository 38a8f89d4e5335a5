"""Tidegate: plan, release, serve, watch and govern language models in production."""

from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidegate.client import Client

__all__ = ["Client", "__version__"]

__version__ = version("tidegate")


def __getattr__(name: str) -> object:
    """Load the client when it is first asked for: every process imports this package, few are applications."""
    if name == "Client":
        from tidegate.client import Client  # noqa: PLC0415  # lazy: brings in the HTTP client

        return Client
    raise AttributeError(f"module 'tidegate' has no attribute {name!r}")

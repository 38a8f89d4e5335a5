"""Tidegate: plan, release, serve, watch and govern language models in production."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidegate.client import Client

    __version__: str

__all__ = ["Client", "__version__"]


def __getattr__(name: str) -> object:
    """Load what is rarely asked for when it is: every process imports this package, few are applications."""
    if name == "Client":
        from tidegate.client import Client  # noqa: PLC0415  # lazy: most processes are no application

        return Client
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415  # lazy: takes 30 ms of every start

        return version("tidegate")
    raise AttributeError(f"module 'tidegate' has no attribute {name!r}")

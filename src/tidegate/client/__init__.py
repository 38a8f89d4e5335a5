"""What an application imports: rendered prompts by name, from a local copy that follows the gateway."""

from tidegate.client.client import Client
from tidegate.client.prompt import RenderedPrompt

__all__ = ["Client", "RenderedPrompt"]

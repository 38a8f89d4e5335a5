"""The routes of prompts: what Git and the registry hold, how versions differ, how a prompt came to be."""

import msgspec
from litestar.params import FromPath, FromQuery

from tidegate.control.prompts.model import Listed, Listing, PromptHistory
from tidegate.doors.http.control.admission import TheControl
from tidegate.kernel.errors import NotFound

__all__ = ["ShownChange", "ShownDiff", "ShownText", "ShownVersion", "diff", "history", "prompt", "prompts", "version"]


class ShownMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a chat prompt, its content a template."""

    role: str
    content: str


class ShownVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version, fragments woven in. Either `messages` (chat) or `template` (text) is given."""

    name: str
    version: str
    content_hash: str
    model: str
    template_format: str
    messages: tuple[ShownMessage, ...]
    template: str | None
    params: dict[str, object]
    sampling: dict[str, object]
    output: dict[str, object]


class ShownText(msgspec.Struct, frozen=True, kw_only=True):
    """How one text changed."""

    label: str
    before: str | None
    after: str | None
    unified: str


class ShownChange(msgspec.Struct, frozen=True, kw_only=True):
    """One setting that changed."""

    path: str
    before: object
    after: object
    added: bool
    removed: bool


class ShownDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What changed from version `a` to version `b`; both lists empty means nothing."""

    name: str
    a: str
    b: str
    texts: tuple[ShownText, ...]
    changes: tuple[ShownChange, ...]


async def prompts(control: TheControl) -> Listing:
    """Every prompt with its versions, and what is wrong with other files."""
    return await control.prompts.list()


async def prompt(control: TheControl, name: FromPath[str]) -> Listed:
    """One prompt with its versions, newest first."""
    listing = await control.prompts.list()
    for one in listing.prompts:
        if one.name == name:
            return one
    raise NotFound("prompt", name, known=tuple(one.name for one in listing.prompts))


async def version(control: TheControl, name: FromPath[str], version: FromPath[str]) -> ShownVersion:
    """One version: as it was released, else as the newest commit has it."""
    return msgspec.convert(await control.prompts.get(name, version), ShownVersion, from_attributes=True)


async def history(control: TheControl, name: FromPath[str]) -> PromptHistory:
    """The commits that changed a prompt, newest first, and which of its versions were released."""
    return await control.prompts.history(name)


async def diff(control: TheControl, name: FromPath[str], a: FromQuery[str], b: FromQuery[str]) -> ShownDiff:
    """What changed from version `a` to version `b`."""
    return msgspec.convert(await control.prompts.diff(name, a, b), ShownDiff, from_attributes=True)

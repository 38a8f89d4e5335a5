"""The routes of what was said in calls: read one, erase a person's, seal all anew."""

import msgspec
from litestar.params import FromPath, JSONBody

from tidegate.control.monitoring.model import CallContent, Erasure, Resealed
from tidegate.doors.http.control.admission import TheActor, TheControl

__all__ = ["Sealing", "SubjectOf", "content", "erase", "reseal"]


class SubjectOf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose content: what applications send as x-tidegate-unit, or as `user`."""

    subject: str


class Sealing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to go on: the `next` of the answer before; empty to begin."""

    after: str = ""


async def content(control: TheControl, actor: TheActor, call_id: FromPath[str]) -> CallContent:
    """What was said in one call, if it was kept; the reading is audited."""
    return await control.contents.show(actor, call_id)


async def erase(control: TheControl, actor: TheActor, data: JSONBody[SubjectOf]) -> Erasure:
    """Erase all content of one subject."""
    return await control.contents.erase(actor, data.subject)


async def reseal(control: TheControl, actor: TheActor, data: JSONBody[Sealing]) -> Resealed:
    """Seal kept content anew under the current master key, up to 200 calls at once."""
    return await control.contents.reseal(actor, data.after)

"""The routes of what was said in calls: read one, erase a person's."""

import msgspec
from litestar.params import FromPath, JSONBody

from tidegate.control.monitoring.model import CallContent, Erasure
from tidegate.doors.http.control.admission import TheActor, TheControl

__all__ = ["SubjectOf", "content", "erase"]


class SubjectOf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose content: what applications send as x-tidegate-unit, or as `user`."""

    subject: str


async def content(control: TheControl, actor: TheActor, call_id: FromPath[str]) -> CallContent:
    """What was said in one call, if it was kept; the reading is audited."""
    return await control.contents.show(actor, call_id)


async def erase(control: TheControl, actor: TheActor, data: JSONBody[SubjectOf]) -> Erasure:
    """Erase all content of one subject."""
    return await control.contents.erase(actor, data.subject)

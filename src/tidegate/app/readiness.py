"""Whether the control process can do its work, part by part."""

import msgspec

from tidegate.app.parts import Parts
from tidegate.control.monitoring.model import CallFilter
from tidegate.control.prompts.codes import is_error
from tidegate.jobs.lease import living_holders
from tidegate.jobs.snapshots import newest_generation
from tidegate.kernel.errors import TidegateError

__all__ = ["Part", "Readiness", "readiness_of"]

OK = "ok"
APPLY = "Run `tidegate apply`."
FAULTS_SHOWN = 50


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One part's state: `ok`, or what is wrong. A part that is not `needed` may be wrong in a ready process."""

    state: str
    needed: bool = False
    mend: str = ""
    detail: dict[str, object] = {}


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """`ready` is whether every needed part is `ok`."""

    ready: bool
    parts: dict[str, Part]


async def readiness_of(control: Parts) -> Readiness:
    """Look at every part now."""
    parts = await _database_parts(control)
    parts["config"] = Part(state=OK) if control.config else Part(state="nothing was applied", mend=APPLY)
    parts["calls"] = await _calls(control)
    parts["prompts"] = _prompts(control)
    complaints = control.leader.complaints
    parts["duties"] = Part(state="; ".join(f"{name}: {text}" for name, text in complaints.items()) or OK)
    return Readiness(ready=all(part.state == OK for part in parts.values() if part.needed), parts=parts)


async def _database_parts(control: Parts) -> dict[str, Part]:
    """The database, its schema, the first snapshot, the leader and the outbox."""
    try:
        async with control.db.read() as tx:
            generation = await newest_generation(tx) if control.opened is None else 0
            holders = await living_holders(tx, await control.db.now_ms(tx)) if control.opened is None else {}
        waiting = await control.outbox.waiting(limit=1000) if control.opened is None else []
    except TidegateError as error:
        return {"database": _wrong(error, needed=True)}
    opened = _wrong(control.opened, needed=True) if control.opened is not None else Part(state=OK, needed=True)
    failing = next((errand for errand in waiting if errand.last_error), None)
    return {
        "database": Part(state=OK, needed=True),
        "schema": opened,
        "snapshot": Part(state=OK if generation else "none yet", needed=True, detail={"generation": generation}),
        "leader": Part(state=OK, detail={"leads": control.leader.leads, "holder": holders.get("leader")}),
        "outbox": Part(
            state=f"{failing.kind} fails: {failing.last_error}" if failing else OK, detail={"waiting": len(waiting)}
        ),
    }


async def _calls(control: Parts) -> Part:
    try:
        await control.calls.list(CallFilter(limit=1))
    except TidegateError as error:
        return _wrong(error)
    return Part(state=OK)


def _prompts(control: Parts) -> Part:
    """Broken files are told here; the good ones are served all the same."""
    scan = control.followed.scan
    if scan is None:
        return Part(state="not read yet")
    faults = [
        {"file": one.file, "line": one.line, "code": one.code, "message": one.message, "mend": one.mend}
        for one in scan.faults[:FAULTS_SHOWN]
    ]
    wrong = len({one.file for one in scan.faults if is_error(one.code)})
    detail: dict[str, object] = {"commit": scan.commit.sha if scan.commit else None, "dirty": list(scan.dirty)}
    return Part(
        state=f"{wrong} of the prompt files are wrong and not served" if wrong else OK,
        mend="Mend them and commit; `tidegate prompt lint` says how." if wrong else "",
        detail=detail | ({"faults": faults} if faults else {}),
    )


def _wrong(error: TidegateError, *, needed: bool = False) -> Part:
    return Part(state=error.message, needed=needed, mend=error.mend)

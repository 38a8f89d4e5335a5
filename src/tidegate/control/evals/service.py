"""The verbs of evaluations in control: keep a verdict, and find those that are kept. Running them needs no server."""

import msgspec

from tidegate.control.evals import store
from tidegate.control.evals.model import Recorded, Verdict
from tidegate.control.identity.model import Actor
from tidegate.control.identity.store import add_audit
from tidegate.jobs.database import Database
from tidegate.kernel.errors import Invalid
from tidegate.kernel.ids import new_id
from tidegate.kernel.names import check_name, semver_key

__all__ = ["Evaluations"]

LISTED = 500
HASH_LETTERS = 128


class Evaluations:
    """What is known of versions before they meet users."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def record(self, actor: Actor, verdict: Verdict) -> Recorded:
        """Keep a verdict: the offline stage of a rollout asks for the newest one on what its candidate says.

        Raises Invalid (it names no version, or no content), Forbidden.
        """
        actor.require("eval.record")
        _check(verdict)
        async with self._db.write() as tx:
            at_ms = await self._db.now_ms(tx)
            one = Recorded(
                eval_id=new_id("eval"),
                actor=actor.name,
                at_ms=at_ms,
                verdict=msgspec.structs.replace(verdict, at_ms=verdict.at_ms or at_ms),
            )
            await store.add(tx, one)
            subject = f"evaluation/{verdict.prompt or verdict.content_hash[:12]}"
            diff: dict[str, object] = {
                "version": verdict.version,
                "answer": verdict.answer,
                "why": verdict.why,
                "content_hash": verdict.content_hash,
                "baseline": verdict.baseline_version,
                "dataset": verdict.dataset_sha256,
            }
            diff = {name: value for name, value in diff.items() if value}
            await add_audit(tx, at_ms=at_ms, actor=actor, action="eval.record", subject=subject, diff=diff)
        return one

    async def list(
        self,
        prompt: str | None = None,
        version: str | None = None,
        content_hash: str | None = None,
        limit: int = 50,
    ) -> tuple[Recorded, ...]:
        """The verdicts that are kept, newest first."""
        async with self._db.read() as tx:
            return await store.recorded(
                tx, prompt=prompt, version=version, content_hash=content_hash, limit=min(limit, LISTED)
            )


def _check(verdict: Verdict) -> None:
    if not 0 < len(verdict.content_hash) <= HASH_LETTERS:
        raise Invalid(
            "A verdict is on what a version says, and this one names no content.",
            mend="Give `content_hash`, as `tidegate eval run --record` does.",
            param="content_hash",
        )
    if verdict.prompt is not None:
        check_name("prompt", verdict.prompt)
    if verdict.version is not None:
        semver_key(verdict.version)

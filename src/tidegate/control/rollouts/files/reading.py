"""The rollout file, read: a Plan, or everything that is wrong with it at once, each fault with its place."""

from collections.abc import Iterator

from tidegate.control.rollouts.files.cautions import warnings_of
from tidegate.control.rollouts.files.checks import check_rollout
from tidegate.control.rollouts.files.plans import plan_of
from tidegate.control.rollouts.files.shape import RolloutBlock, RolloutFile
from tidegate.control.rollouts.model import Plan
from tidegate.kernel.documents import Document, Path, check_yaml
from tidegate.kernel.errors import Invalid, InvalidDocument
from tidegate.kernel.shapes import convert_document

__all__ = ["lint_plan", "read_plan"]

_LENGTHS = ("observe", "window", "stale_after", "rollback_window", "shadow_after")

Faults = tuple[InvalidDocument, ...]


def lint_plan(text: str, file: str) -> tuple[Plan | None, Faults, Faults]:
    """Return the Plan (None when there are faults), all faults and all warnings, in the order of the file."""
    document, faults = check_yaml(text, file)
    if document is None:
        return None, faults, ()
    found, more = _read(document)
    faults = _sorted((*faults, *more))
    if found is None or faults:
        return None, faults, ()
    root, block = found
    plan = plan_of(block)
    return plan, (), _sorted(tuple(warnings_of(document, root, plan)))


def read_plan(text: str, file: str) -> tuple[Plan, tuple[str, ...]]:
    """Return the Plan and its warnings, each with its place; raises Invalid (`invalid_rollout`) whose message has a
    line for each fault.
    """
    plan, faults, warnings = lint_plan(text, file)
    if plan is not None:
        return plan, tuple(str(one) for one in warnings)
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    lines = "\n".join(f"  {fault}" for fault in faults)
    raise Invalid(f"{file} has {count}:\n{lines}", mend="Mend the file and try again.", code="invalid_rollout")


def _read(document: Document) -> tuple[tuple[Path, RolloutBlock] | None, Faults]:
    unitless = tuple(_without_unit(document))
    shape, faults = convert_document(document, RolloutFile)
    told = {(fault.line, fault.column) for fault in unitless}
    faults = (*unitless, *(fault for fault in faults if (fault.line, fault.column) not in told))
    if shape is None:
        return None, faults
    given = [(name, one) for name, one in (("rollout", shape.rollout), ("deployment", shape.deployment)) if one]
    if len(given) != 1:
        message = "The file has `rollout` and `deployment`." if given else "The file has no `rollout`."
        mend = "Keep one of them." if given else "Write `rollout:`, and its stages below it."
        fault = document.fault((given[-1][0],) if given else (), message, mend=mend, code="rollout_missing")
        return None, (*faults, fault)
    name, block = given[0]
    faults += tuple(check_rollout(document, (name,), block))
    return ((name,), block), faults


def _without_unit(document: Document) -> Iterator[InvalidDocument]:
    """Lengths of time that do not say in what."""
    for root in ("rollout", "deployment"):
        block = _at(document.value, root)
        places: list[tuple[Path, object]] = [((root, field), _at(block, field)) for field in _LENGTHS]
        stages = _at(block, "stages")
        for at, stage in enumerate(stages if isinstance(stages, list) else []):
            places += [((root, "stages", at, field), _at(stage, field)) for field in ("hold", "max_hold")]
        for path, value in places:
            if isinstance(value, int | float) and not isinstance(value, bool):
                message = f"`{path[-1]}` is {document.written(path)}, without a unit."
                yield document.fault(path, message, mend="Write 90s, 15m, 2h or 1d.", code="duration")


def _at(value: object, step: str) -> object:
    return value.get(step) if isinstance(value, dict) else None


def _sorted(faults: Faults) -> Faults:
    return tuple(sorted(faults, key=lambda fault: (fault.line or 0, fault.column or 0)))

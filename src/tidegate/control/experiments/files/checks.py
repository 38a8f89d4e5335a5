"""What an experiment file must hold beyond its shape: names, shares, lengths of time, and what does not go together."""

from collections.abc import Iterator

from tidegate.control.experiments.files.definitions import (
    metrics_of,
    observe_of,
    prompt_of,
    subject_of,
    window_of,
)
from tidegate.control.experiments.files.durations import seconds_of
from tidegate.control.experiments.files.measures import check_guardrails, check_metrics
from tidegate.control.experiments.files.shape import ExperimentBlock
from tidegate.kernel.documents import Document, Path
from tidegate.kernel.errors import Invalid, InvalidDocument
from tidegate.kernel.names import check_name
from tidegate.live.experiments import REQUEST, TAG, USER

__all__ = ["check_experiment"]

Found = Iterator[InvalidDocument]

ROOT = "experiment"
MOST_WINDOWS = 10_000
SHORTEST_WINDOW_S = 10
SHORTEST_DURATION_S = 60
LONGEST_DURATION_S = 366 * 86_400


def check_experiment(document: Document, block: ExperimentBlock) -> Found:
    """Every fault of a block that has the right shape, but those of its decision rule."""
    yield from _names(document, block)
    yield from _variants(document, block)
    yield from _subject(document, block)
    yield from check_metrics(document, block)
    yield from check_guardrails(document, block)
    lengths = tuple(_lengths(document, block))
    yield from lengths
    if not lengths:
        yield from _times(document, block)
    yield from _methods(document, block)


def _names(document: Document, block: ExperimentBlock) -> Found:
    given: list[tuple[Path, str, str]] = [
        (("name",), "experiment", block.name),
        (("environment",), "environment", block.environment),
        *((("variants", name), "variant", name) for name in block.variants),
        *((("segment", "keys", at), "key", name) for at, name in enumerate(block.segment.keys)),
    ]
    given += [
        (("variants", name, "prompt"), "prompt", found[0])
        for name, one in block.variants.items()
        if one.prompt is not None and (found := prompt_of(one.prompt)) is not None
    ]
    if block.subject is not None:
        given.append((("subject",), "subject", block.subject.removeprefix("prompt:")))
    given += [((name,), name, text) for name, text in (("salt", block.salt), ("layer", block.layer)) if text]
    for path, kind, text in given:
        try:
            check_name(kind, text)
        except Invalid as error:
            yield document.fault((ROOT, *path), error.message, mend=error.mend, code=error.code)
    if block.unit not in (USER, REQUEST) and not (block.unit.startswith(TAG) and len(block.unit) > len(TAG)):
        message, mend = f"A unit cannot be `{block.unit}`.", "Write user, request, or tag:NAME, as tag:session."
        yield document.fault((ROOT, "unit"), message, mend=mend, code="unit")


def _variants(document: Document, block: ExperimentBlock) -> Found:
    path: Path = (ROOT, "variants")
    variants = block.variants
    if len(variants) < 2:
        message = f"An experiment compares variants, and there is {'one' if variants else 'none'}."
        yield document.fault(path, message, mend="Name the control first, then a treatment.", code="variants")
    given = {name: one.traffic for name, one in variants.items() if one.traffic is not None}
    for name in variants:
        if given and name not in given:
            mend = "Give each variant its percent, or none of them."
            yield document.fault((*path, name), f"`{name}` has no `traffic`.", mend=mend, code="traffic")
    for name, percent in given.items():
        if abs(percent * 100 - round(percent * 100)) > 1e-6:
            message = f"`{name}` has {percent} % of the traffic, finer than a hundredth of a percent."
            yield document.fault((*path, name, "traffic"), message, mend="Round it.", code="traffic")
    whole = sum(given.values())
    if whole > 100 + 1e-6:
        message, mend = f"The variants have {whole:g} % of the traffic.", "Together they have 100 % at most."
        yield document.fault((*path, list(given)[-1], "traffic"), message, mend=mend, code="traffic")


def _subject(document: Document, block: ExperimentBlock) -> Found:
    path: Path = (ROOT, "variants")
    asked = {name: one.prompt for name, one in block.variants.items() if one.prompt is not None}
    for name, text in asked.items():
        if prompt_of(text) is None:
            message, mend = f"`{text}` names no version of a prompt.", "Write NAME@VERSION, as qa@3.2.1."
            yield document.fault((*path, name, "prompt"), message, mend=mend, code="prompt_version")
    read = {name: found for name, text in asked.items() if (found := prompt_of(text)) is not None}
    first = next(iter(read.values()), None)
    for name, found in read.items():
        if first is not None and found[0] != first[0]:
            message = f"`{name}` is of the prompt `{found[0]}`, and the control of `{first[0]}`."
            mend = "Compare versions of one prompt; for different prompts compare aliases in the application."
            yield document.fault((*path, name, "prompt"), message, mend=mend, code="two_prompts")
    for name in block.variants:
        if asked and name not in asked:
            mend = "Name its version too, also where it is the same."
            yield document.fault(
                (*path, name), f"`{name}` has no `prompt`, and others do.", mend=mend, code="prompt_missing"
            )
    if asked and first is not None and block.subject not in (None, f"prompt:{first[0]}"):
        mend = f"Leave `subject` out: it is prompt:{first[0]}."
        yield document.fault((ROOT, "subject"), "The variants' prompt is the subject.", mend=mend, code="subject")
    if not asked and subject_of(block) is None:
        mend = "Give the variants a `prompt`, or add `subject: ALIAS` and variants that differ in `model`."
        yield document.fault(path, "Nothing says whose calls are in the experiment.", mend=mend, code="subject")


def _lengths(document: Document, block: ExperimentBlock) -> Found:
    cuped, bandit = block.cuped, block.bandit
    given = (
        (("duration",), block.duration),
        (("observe",), block.observe),
        (("window",), block.window),
        (("cuped", "lookback"), cuped.lookback if cuped else None),
        (("bandit", "every"), bandit.every if bandit else None),
        (("bandit", "memory"), bandit.memory if bandit else None),
    )
    for path, text in given:
        if text is None:
            continue
        seconds = seconds_of(text)
        if seconds is None or (seconds == 0 and path != ("observe",)):
            message = f"`{text}` is no length of time."
            yield document.fault((ROOT, *path), message, mend="Write 90s, 5m, 1h or 7d.", code="duration")


def _times(document: Document, block: ExperimentBlock) -> Found:
    duration_s, window_s, observe_s = seconds_of(block.duration) or 0, window_of(block), observe_of(block)
    if not SHORTEST_DURATION_S <= duration_s <= LONGEST_DURATION_S:
        message = f"An experiment cannot run for {block.duration}."
        yield document.fault((ROOT, "duration"), message, mend="Write 1m to 366d.", code="duration")
        return
    if observe_s >= duration_s:
        message = f"A unit is watched for {observe_s} s, and all ends after {duration_s} s: no unit would be judged."
        mend = "Make `duration` longer, or `observe` shorter."
        yield document.fault((ROOT, "observe"), message, mend=mend, code="observe")
    if not SHORTEST_WINDOW_S <= window_s <= duration_s:
        message = f"A window cannot be {window_s} s long in {duration_s} s."
        mend = f"Write at least {SHORTEST_WINDOW_S}s, and no more than `duration`."
        yield document.fault((ROOT, "window"), message, mend=mend, code="window")
    elif duration_s > MOST_WINDOWS * window_s:
        message = f"{duration_s // window_s} windows are more than {MOST_WINDOWS}."
        mend = f"Make `window` at least {-(-duration_s // MOST_WINDOWS)}s."
        yield document.fault((ROOT, "window"), message, mend=mend, code="window")


def _methods(document: Document, block: ExperimentBlock) -> Found:
    """CUPED and the bandit against the rest."""
    primary = (
        metrics_of(block).get(block.primary or "") if block.primary else next(iter(metrics_of(block).values()), None)
    )
    if block.cuped is not None and block.unit == REQUEST:
        mend = "Leave `cuped` out, or assign by user."
        yield document.fault((ROOT, "cuped"), "A request has no past to be adjusted by.", mend=mend, code="cuped")
    elif block.cuped is not None and primary is not None and primary.method == "ratio":
        message = f"The primary metric `{primary.name}` is judged by the ratio of its rates, which is not adjusted."
        yield document.fault((ROOT, "cuped"), message, mend="Leave `cuped` out.", code="cuped")
    bandit = block.bandit
    if bandit is not None and bandit.floor * len(block.variants) >= 1:
        message = (
            f"{len(block.variants)} variants cannot each keep {bandit.floor:g} of the traffic and leave some to learn."
        )
        mend = f"Make it less than {1 / max(len(block.variants), 1):.2g}."
        yield document.fault((ROOT, "bandit", "floor"), message, mend=mend, code="bandit_floor")

"""How it was judged, what to be careful about, what was defined, and what the words mean."""

from tidegate.control.experiments.model import Analysis, Definition, Metric
from tidegate.control.experiments.reports.blocks import Grid, Section
from tidegate.control.experiments.reports.words import share_text, variant_text
from tidegate.control.experiments.scales import scale_of
from tidegate.control.gates.model import Gate
from tidegate.control.gates.sentences import allowed_text, gate_scale
from tidegate.kernel.figures import about_text, level_text
from tidegate.kernel.plain import count_of, date_text, joined, plain, plural, singular, time_text
from tidegate.kernel.scales import NUMBER, Scale, known

__all__ = ["cautions", "defined", "judged", "meanings"]

_CORRECTIONS = {
    "holm": "p-values are raised for asking several questions at once (Holm), so that the chance of any false winner "
    "stays within the error allowed.",
    "bonferroni": "p-values are raised for asking several questions at once (Bonferroni), so that the chance of any "
    "false winner stays within the error allowed.",
    "benjamini-hochberg": "p-values are raised for asking several questions at once (Benjamini-Hochberg): among the "
    "winners, few are false.",
    "none": "p-values are not raised for asking several questions at once: with many metrics, some will win by chance.",
}
_ALGORITHMS = {"thompson": "Thompson sampling", "top-two": "top-two Thompson sampling"}
_PER_UNIT = {"mean": "mean of its calls", "sum": "sum of its calls", "any": "any of its calls", "first": "first call"}


def judged(analysis: Analysis) -> Section:
    """How the answer was come to."""
    definition = analysis.definition
    one, many = singular(definition.unit), plural(definition.unit)
    wait = (
        f" {time_text(definition.observe_s)} after its first call" if definition.observe_s > 0 else " by its first call"
    )
    points = [
        f"The rule: {plain(definition.rule)}.",
        (
            f"Each {one} counts once, judged{wait}. {many.capitalize()} are compared only within the same "
            f"{time_text(definition.window_s).removeprefix('1 ')}, and only when that time is over."
        ),
        (
            f"One may look as often as one likes: p-values and intervals stay valid at every look. The error "
            f"allowed is {level_text(definition.alpha)}."
        ),
        _CORRECTIONS[definition.correction],
        (
            f"Nothing is shipped before every variant has {count_of(definition.min_samples, definition.unit)}; "
            f"the plan ends after {time_text(definition.duration_s)}."
        ),
    ]
    if definition.guardrails:
        broken = "stops the experiment" if definition.on_breach == "stop" else "is only warned of"
        points.append(
            f"Guardrails share one error of {level_text(definition.alpha)} in each direction; a breach {broken}."
        )
    if definition.cuped is not None:
        points.append(
            f"{plain(definition.primary)} is adjusted by what the same {one} showed in the "
            f"{time_text(definition.cuped.lookback_s)} before the start (CUPED), which narrows the interval."
        )
    if definition.bandit is not None:
        points.append(
            f"Weights follow what is learned every {time_text(definition.bandit.every_s)} by "
            f"{_ALGORITHMS[definition.bandit.algorithm]}, never below {share_text(definition.bandit.floor)} a variant."
        )
    return Section("judged", "How it was judged", points=tuple(points))


def cautions(analysis: Analysis) -> Section | None:
    """What to be careful about; None when there is nothing."""
    definition, points = analysis.definition, [plain(one) for one in analysis.warnings]
    few = [plain(arm.variant) for arm in analysis.arms if arm.judged < definition.min_samples]
    if few:
        points.append(f"Fewer than {count_of(definition.min_samples, definition.unit)} judged so far in {joined(few)}.")
    if not any(one.low is not None and one.high is not None for one in analysis.contrasts):
        points.append("There are no intervals yet: too little has been measured.")
    if definition.unit == "request":
        points.append(
            "The unit is the request: one user may have seen several variants, and many requests of one user count as "
            "if they were of many."
        )
    return Section("cautions", "What to be careful about", points=tuple(points)) if points else None


def defined(analysis: Analysis) -> Section:
    """The definition, with what was frozen at the start."""
    definition = analysis.definition
    scales = {one.name: scale_of(one, definition) for one in definition.measured}
    facts = [
        ("Experiment", f"{plain(definition.name)} ({plain(analysis.experiment_id)})"),
        ("Of", f"{plain(definition.subject)} in {plain(definition.environment)}"),
        *([("About", plain(definition.description))] if definition.description.strip() else []),
        ("Started", date_text(analysis.started_at_ms)),
        ("Analysed", date_text(analysis.at_ms)),
        *([("Ended", date_text(analysis.ended_at_ms))] if analysis.ended_at_ms is not None else []),
        ("Unit", singular(definition.unit)),
        ("Primary metric", plain(definition.primary)),
        ("Rule", plain(definition.rule)),
        ("Error", f"{level_text(definition.alpha)}, both sides together"),
        ("Power wanted", level_text(definition.power)),
        *_narrowed(definition),
    ]
    traffic = known(definition.units_per_day)
    if traffic is not None:
        facts.append(("Expected", f"{about_text(traffic)} {plural(definition.unit)} a day"))
    variants = tuple(
        (plain(one.name), variant_text(one), share_text(one.weight_bp / 10_000)) for one in definition.variants
    )
    metrics = tuple(_metric_row(one, scales[one.name]) for one in definition.measured)
    control = plain(definition.variants[0].name) if definition.variants else "the control"
    gates = tuple(_gate_row(one, scales, control) for one in definition.guardrails)
    grids = [
        Grid("Plan", ("What", "As defined"), tuple(facts)),
        Grid("Variants, the first is the control", ("Variant", "Serves", ">Of all units"), variants),
        Grid("Metrics", ("Metric", "Measured as", "Better", ">Expected", ">Worth having"), metrics),
        Grid("Guardrails", ("Metric", "Allowed", "Breach", ">Share of error"), gates),
    ]
    return Section("defined", "The definition", grids=tuple(grid for grid in grids if grid.rows))


def _narrowed(definition: Definition) -> list[tuple[str, str]]:
    facts = []
    if definition.layer:
        facts.append(("Layer", plain(definition.layer)))
    if definition.tags:
        facts.append(
            ("Only tags", joined([f"{plain(key)} = {plain(value)}" for key, value in definition.tags.items()]))
        )
    if definition.keys:
        facts.append(("Only keys", joined([plain(key) for key in definition.keys])))
    return facts


def _metric_row(metric: Metric, scale: Scale) -> tuple[str, ...]:
    where = "call" if metric.source == "call" else "feedback"
    above = known(metric.above)
    measured = f"{where} {plain(metric.field)}, {_PER_UNIT[metric.per_unit]}"
    if above is not None:
        measured += f", above {about_level(metric, above)}"
    if metric.missing == "zero":
        measured += ", none is 0"
    return (
        plain(metric.name),
        measured,
        metric.better,
        "unknown" if metric.baseline is None else scale.level(metric.baseline),
        "unknown" if metric.effect is None else scale.exact(metric.effect, apart=True),
    )


def about_level(metric: Metric, above: float) -> str:
    """The bound of a metric that counts what exceeds it: `2,310 ms`."""
    unit = {"usd": "", "": ""}.get(metric.unit, f" {plain(metric.unit)}") if metric.unit else ""
    return f"{'$' if metric.unit == 'usd' else ''}{NUMBER.exact(above)}{unit}"


def _gate_row(gate: Gate, scales: dict[str, Scale], control: str) -> tuple[str, ...]:
    allowed = allowed_text(gate, gate_scale(gate, scales), control)
    share = known(gate.share)
    return (
        plain(gate.metric),
        allowed,
        "blocks" if gate.block else "warns",
        "unknown" if share is None else share_text(share),
    )


def meanings(definition: Definition) -> Section:
    """What an interval, a p-value, a point and times are, once, for those who do not work with them."""
    points = (
        (
            f"An interval, such as 1.2 to 5.0, is where the true figure lies. In {level_text(1 - definition.alpha)} of "
            "experiments it does so at every look, from the first to the last."
        ),
        (
            "p says how easily chance alone, with no true difference, would have shown as much as was seen at any look "
            "so far. The smaller, the harder it is to blame chance."
        ),
        "A point is a hundredth: from 80% to 83% is 3 points. Of a score between 0 and 1, it is 0.01.",
        "1.5 times is half as much again as the control; 1 time is the same.",
        "'Not known' is no pass: a difference may be there that is too small to be seen so far.",
    )
    return Section("meanings", "What the words mean", points=points)

"""A whole report, from the answer to what the words mean; every form of it is made from this one."""

from tidegate.control.experiments.model import Analysis
from tidegate.control.experiments.reports.blocks import Report
from tidegate.control.experiments.reports.evidence import bandit_section, guardrails, metrics, who
from tidegate.control.experiments.reports.method import cautions, defined, judged, meanings
from tidegate.control.experiments.reports.words import answer, mood, standing
from tidegate.kernel.plain import plain

__all__ = ["report_of"]


def report_of(analysis: Analysis) -> Report:
    """The report of an analysis."""
    definition = analysis.definition
    sections = (
        metrics(analysis),
        guardrails(analysis),
        None if analysis.bandit is None else bandit_section(analysis, analysis.bandit),
        who(analysis),
        judged(analysis),
        cautions(analysis),
        defined(analysis),
        meanings(definition),
    )
    lead = (standing(analysis), *([plain(definition.description)] if definition.description.strip() else []))
    return Report(
        f"Experiment {plain(definition.name)}",
        mood(analysis),
        answer(analysis),
        lead,
        tuple(one for one in sections if one is not None),
    )

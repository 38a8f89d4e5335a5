"""`tidegate stats srm`: whether units were split as planned."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tidegate.doors.cli.options import Json, group
from tidegate.doors.cli.output import print_json, print_table, say
from tidegate.doors.cli.samples import Source, arms_in, heard, numbers
from tidegate.kernel.errors import Invalid
from tidegate.kernel.figures import count_text, p_text, percent_text
from tidegate.stats.checks import BadSample, probability
from tidegate.stats.splits import srm_test

__all__ = ["app"]

app = group("Splits.")

SPLIT = "Write the units of each arm, such as 5010/4990."
WEIGHTS = "Write a weight for each arm, such as 50/50 or 90/5/5."


@app.command()
def srm(
    units: Annotated[str | None, typer.Argument(metavar="N/N", help="The units of each arm: 5010/4990.")] = None,
    weights: Annotated[
        str | None, typer.Option("--weights", metavar="W/W", help="The planned split; equal unless said.")
    ] = None,
    alpha: Annotated[float, typer.Option("--alpha", help="A p-value below it shows that the split is broken.")] = 0.001,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Rows of a CSV, JSONL or Parquet file.")
    ] = None,
    arm: Annotated[str | None, typer.Option("--arm", metavar="COLUMN", help="The column that names the arm.")] = None,
    unit: Annotated[
        str | None, typer.Option("--unit", metavar="COLUMN", help="Count its different values, not the rows.")
    ] = None,
    control: Annotated[
        str | None, typer.Option("--control", metavar="ARM", help="The arm of the first weight.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a split against its plan (sample ratio mismatch). The file's arms: the control, then as they come."""
    names, seen = _counted(units, file, arm, unit, control)
    plan = [1.0] * len(seen) if weights is None else numbers(weights, None, WEIGHTS)
    with heard(f"{SPLIT} {WEIGHTS}"):
        limit = float(probability("alpha", alpha))
        split = srm_test(seen, plan)
    p = float(split.p_value)
    broken = p < limit
    rows: list[dict[str, Any]] = [
        {"name": name, "n": int(count), "expected_n": float(expected), "weight": weight / sum(plan)}
        for name, count, expected, weight in zip(names, seen, split.expected, plan, strict=True)
    ]
    answer = (
        f"The split is not as planned; {p_text(p)}: below {limit:g}. "
        "Trust no result before the assignment or the logging is mended."
        if broken
        else f"Nothing speaks against the split; {p_text(p)}, which is not below {limit:g}."
    )
    found: dict[str, Any] = {"answer": answer, "mismatch": broken, "p_value": p, "alpha": limit}
    found |= {"chi_square": float(split.statistic), "df": split.df, "exact": bool(split.exact), "arms": rows}
    if as_json:
        print_json(found)
        return
    say(answer)
    say()
    cells = [
        (row["name"], count_text(row["n"]), f"{row['expected_n']:,.1f}", percent_text(row["n"] / sum(seen)))
        for row in rows
    ]
    print_table(("ARM", ">UNITS", ">EXPECTED", ">SHARE"), cells, empty="")


def _counted(
    units: str | None, file: Path | None, arm: str | None, unit: str | None, control: str | None
) -> tuple[list[str], list[float]]:
    """The arms' names and units, from the argument or from the file; raises Invalid."""
    if (units is None) == (file is None):
        said = "A split comes from N/N or from --file, one of them."
        raise Invalid(said, mend=f"{SPLIT} Or name a file: --file FILE --arm COLUMN.")
    if units is not None:
        seen = numbers(units, None, SPLIT)
        return [str(place + 1) for place in range(len(seen))], seen
    if arm is None or file is None:
        raise Invalid("--file needs the column of the arm.", mend="Add --arm COLUMN.")
    with heard(SPLIT):
        arms = arms_in(Source(file, arm, None, unit, control))
        if len(arms) < 2:
            raise BadSample(f"column {arm!r} must name at least two arms")
    return [one.name for one in arms], [float(len(set(one.units)) if unit else one.rows) for one in arms]

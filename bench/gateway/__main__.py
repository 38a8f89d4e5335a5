"""`python -m bench.gateway`: the gateway beside its peers, on one core each, against a canned upstream."""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from bench.gateway.load import require_tools
from bench.gateway.measure import FULL, QUICK, Sample, interleaved, sample
from bench.gateway.peers import LiteLLM, Portkey, TensorZero, bench_home
from bench.gateway.report import Row, markdown, summarised
from bench.gateway.targets import Direct, Nginx, Site, Target, upstream
from bench.gateway.tidegate_target import VARIANTS
from bench.processes import BenchError, Stopped, bounded, free_port, two_cores

EVERY: tuple[Target, ...] = (Direct(), Nginx(), *VARIANTS, LiteLLM(), Portkey(), TensorZero())
TARGETS: dict[str, Target] = {target.name: target for target in EVERY}
FEATURES = tuple(target.name for target in VARIANTS[1:])
"""Shown only when they are asked for: what each feature costs."""

SLOWEST_S = 12.0  # the longest window that a target asks for, generously


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    targets = [TARGETS[name] for name in options.targets]
    windows = QUICK if options.quick else FULL
    repetitions = options.reps or (1 if options.quick else 3)
    limit_s = options.limit_s or 60 + len(targets) * repetitions * windows.whole_s(SLOWEST_S)
    home = bench_home()
    try:
        require_tools()
        rows = _rows(targets, home)
        present = [target for target in targets if not rows[target.name].not_installed]
        with bounded(limit_s), tempfile.TemporaryDirectory(prefix="bench-gateway-") as folder:
            site = Site(two_cores(), free_port(), Path(folder), home)
            os.sched_setaffinity(0, {site.cores.load})
            with upstream(site.cores, site.upstream_port, site.run):
                take = partial(sample, site=site, windows=windows)
                samples = interleaved(present, repetitions, take, _tell)
    except (BenchError, Stopped) as error:
        _tell(f"bench.gateway: {error}")
        return 2
    _summarise(rows, samples)
    figures = json.dumps({name: row.as_json() for name, row in rows.items()}, indent=1)
    if options.out:
        options.out.write_text(figures + "\n")
    print(figures if options.json else markdown(rows))
    return 1 if any(row.failures for row in rows.values()) else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.gateway", description=__doc__)
    parser.add_argument(
        "--targets",
        type=_names,
        default=[name for name in TARGETS if name not in FEATURES],
        metavar="A,B",
        help=f"of {','.join(TARGETS)} (default all but {', '.join(FEATURES)})",
    )
    parser.add_argument(
        "--reps", type=int, default=0, metavar="N", help="samples of each target (default 3; --quick: 1)"
    )
    parser.add_argument("--quick", action="store_true", help="short windows: a smoke check, not a measurement")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print the figures of each target as JSON")
    shape.add_argument("--markdown", action="store_true", help="print tables with the ratios (the default)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON to FILE too")
    parser.add_argument("--limit-s", type=float, default=0.0, metavar="S", help="stop after S seconds")
    return parser.parse_args(arguments)


def _names(text: str) -> list[str]:
    """The targets named; `direct` is always among them, since added time is counted from it."""
    names = list(dict.fromkeys(["direct", *text.split(",")]))
    unknown = [name for name in names if name not in TARGETS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    return names


def _rows(targets: Sequence[Target], home: Path) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for target in targets:
        lacking = target.missing(home)
        if lacking:
            _tell(f"{target.name}: not installed: {lacking}")
            rows[target.name] = Row(not_installed=lacking)
        else:
            rows[target.name] = Row(target.had_on(home), dict(target.versions(home)))
    return rows


def _summarise(rows: Mapping[str, Row], samples: Mapping[str, Sequence[Sample]]) -> None:
    direct_row = summarised(Row(), samples["direct"], 0.0)
    direct_ttfb_ms = direct_row.figures["ttfb_added_ms"]
    for name, taken in samples.items():
        summarised(rows[name], taken, direct_ttfb_ms)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

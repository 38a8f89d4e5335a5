"""How an experiment's page looks: the paper, and the pictures on it, each kind of mark with a shape of its own."""

from tidegate.kernel.paper import PAPER

__all__ = ["STYLE"]

_PICTURES = """
text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif;fill:var(--ink)}
text.name{font-weight:600}text.figures{fill:var(--quiet)}text.quiet{fill:var(--quiet);font-size:11px;
paint-order:stroke;stroke:var(--paper);stroke-width:3px;stroke-linejoin:round}
text.good-text{fill:var(--good);font-weight:600}text.bad-text{fill:var(--bad);font-weight:600}
line{stroke:var(--ink);stroke-width:1}line.grid{stroke:var(--edge)}line.zero{stroke:var(--ink);stroke-width:1.25}
line.worth,line.limit{stroke:var(--bad);stroke-width:1.5;stroke-dasharray:5 3}
line.bar{stroke-width:3;stroke:var(--open)}line.bar.good-text{stroke:var(--good)}line.bar.bad-text{stroke:var(--bad)}
line.cap{stroke:var(--quiet);stroke-width:1.5}
line.meant{stroke:var(--ink);stroke-width:3}
polygon.band{fill:var(--band)}polyline.line{fill:none;stroke:var(--good);stroke-width:2}
.good{fill:var(--good)}.bad{fill:var(--bad)}.open{fill:var(--paper);stroke:var(--open);stroke-width:2.5}
.share{stroke:var(--paper);stroke-width:1.5}
.tone0{fill:var(--t0)}.tone1{fill:var(--t1)}.tone2{fill:var(--t2)}.tone3{fill:var(--t3)}.tone4{fill:var(--t4)}
.tone5{fill:var(--t5)}
"""
STYLE = f"{PAPER}{_PICTURES}"

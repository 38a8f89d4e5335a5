"""How the page of a gate looks: the paper, the verdict, cases side by side. Filters are radio buttons: no scripts."""

from tidegate.kernel.paper import PAPER

__all__ = ["STYLE"]

_CASES = """
:root{--del:#b23c001f;--ins:#0062a31f;--warn:#8a5a00}
@media(prefers-color-scheme:dark){:root{--del:#ff9a6233;--ins:#66b5ee33;--warn:#f0b042}}
main{max-width:72rem}
.answer.pass{border-color:var(--good)}.answer.block{border-color:var(--bad)}.answer.warn{border-color:var(--warn)}
.answer.inconclusive{border-left-style:double}
.mark{display:inline-block;font-weight:650;white-space:nowrap}
.mark.pass{color:var(--good)}.mark.block{color:var(--bad)}.mark.warn{color:var(--warn)}
.mark.inconclusive{color:var(--open)}
td.why{min-width:14rem;color:var(--quiet)}td small,.quiet{color:var(--quiet)}td small{display:block;font-size:.85em}
.filters{position:sticky;top:0;z-index:1;background:var(--paper);padding:.6rem 0;border-bottom:1px solid var(--edge);
display:flex;flex-wrap:wrap;gap:.4rem}
.pick{position:absolute;opacity:0;width:1px;height:1px}
.filters label{border:1px solid var(--edge);border-radius:1rem;padding:.15rem .8rem;cursor:pointer;font-size:.92rem}
.case{border-bottom:1px solid var(--edge);margin:0;padding:.35rem 0;content-visibility:auto;
contain-intrinsic-size:auto 2.2rem}
.case>summary,.case.bare{display:grid;grid-template-columns:7.5rem minmax(9rem,1fr) minmax(0,2.2fr);gap:.1rem .8rem;
font-size:.92rem;color:var(--ink)}
.case>summary{list-style-position:inside}.case>summary::-webkit-details-marker{display:none}
.case>summary::before{content:none}
.case .state{font-weight:600}.case.regressed .state{color:var(--bad)}.case.improved .state{color:var(--good)}
.case.same .state,.case.unknown .state{color:var(--quiet)}
.case .id{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.88em}
.case .scores{color:var(--quiet);font-variant-numeric:tabular-nums}
.case>summary .id::after{content:" +";color:var(--quiet)}.case[open]>summary .id::after{content:" -"}
.both{display:grid;grid-template-columns:1fr 1fr;gap:1rem;margin:.5rem 0 .75rem}
.both h4,.asked h4{font-size:.8rem;font-weight:600;color:var(--quiet);margin:0 0 .25rem}
.both pre,.asked pre{white-space:pre-wrap;margin:0;padding:.6rem .75rem;background:var(--soft);border-radius:.35rem;
font:.88rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;max-height:28rem;overflow:auto}
.asked{margin:.5rem 0}.asked pre+h4{margin-top:.6rem}
del{background:var(--del);text-decoration:line-through;text-decoration-color:var(--bad);text-decoration-thickness:1px}
ins{background:var(--ins);text-decoration:underline;text-decoration-color:var(--good);text-underline-offset:.2em}
.note{font-size:.88rem;color:var(--quiet);margin:.25rem 0;max-width:none}
.none{display:none;color:var(--quiet)}
@media(max-width:44rem){.both{grid-template-columns:1fr}
.case>summary,.case.bare{grid-template-columns:6.5rem 1fr}.case .scores{grid-column:1/-1}}
@media print{.filters{display:none}}
"""
_FILTER = (
    "#{key}:checked~.filters label[for={key}]{{background:var(--ink);color:var(--paper);border-color:var(--ink)}}"
    "#{key}:focus-visible~.filters label[for={key}]{{outline:2px solid var(--good);outline-offset:2px}}"
)
_ONLY = "#only-{key}:checked~.cases .case:not(.{key}){{display:none}}"
_STATES = ("regressed", "improved", "same", "unknown")

STYLE = (
    PAPER
    + _CASES
    + "".join(_FILTER.format(key=f"only-{one}") for one in (*_STATES, "all"))
    + "".join(_ONLY.format(key=one) for one in _STATES)
)

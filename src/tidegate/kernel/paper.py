"""How a page looks that needs nothing else: one style sheet, light and dark, readable on a phone and on paper; colours
that colour-blind people tell apart (after Okabe and Ito).
"""

__all__ = ["PAPER"]

PAPER = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1a1d21;--quiet:#5a626c;--edge:#d6dbe0;--soft:#f4f6f8;--good:#0062a3;
--bad:#b23c00;--open:#5a626c;--band:#0062a326;--t0:#0062a3;--t1:#d98200;--t2:#00805c;--t3:#a8437f;--t4:#3f9fd1;
--t5:#7a7300}
@media(prefers-color-scheme:dark){:root{--paper:#13161a;--ink:#e7eaee;--quiet:#a3acb7;--edge:#363d45;--soft:#1c2026;
--good:#66b5ee;--bad:#ff9a62;--open:#a3acb7;--band:#66b5ee33;--t0:#66b5ee;--t1:#f0b042;--t2:#3cc79b;--t3:#e08bbd;
--t4:#a5d8f3;--t5:#d6cd52}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,sans-serif;overflow-wrap:anywhere}
main{max-width:56rem;margin:0 auto;padding:1.25rem 1rem 3rem}
h1{font-size:1rem;font-weight:600;color:var(--quiet);margin:0 0 .75rem}
h2{font-size:1.2rem;margin:2.25rem 0 .5rem;padding-top:.75rem;border-top:1px solid var(--edge)}
p{margin:.5rem 0;max-width:44rem}
.answer{font-size:1.45rem;line-height:1.3;font-weight:650;margin:0 0 .75rem;padding:.15rem 0 .15rem .9rem;
border-left:6px solid var(--open)}
.answer.ship{border-color:var(--good)}.answer.keep,.answer.doubt{border-color:var(--bad)}
.answer.doubt{border-left-style:double}
ul{padding-left:1.2rem;max-width:44rem}li{margin:.3rem 0}
figure{margin:1rem 0 1.5rem}figcaption{font-size:.9rem;color:var(--quiet);max-width:44rem;margin-bottom:.4rem}
svg{display:block;width:100%;max-width:38rem;height:auto;overflow:hidden}
.scroll{overflow-x:auto;margin:.75rem 0}
.scroll:focus-visible,summary:focus-visible{outline:2px solid var(--good);outline-offset:2px}
table{border-collapse:collapse;font-size:.92rem;min-width:100%;overflow-wrap:normal}
caption{text-align:left;color:var(--quiet);font-size:.9rem;padding:.25rem 0}
th,td{text-align:left;vertical-align:top;padding:.35rem .8rem .35rem 0;border-bottom:1px solid var(--edge)}
td{max-width:22rem}td.words,th[scope=row]{min-width:7rem}
th{font-weight:600}tbody th{font-weight:500}
.figure{text-align:right;font-variant-numeric:tabular-nums;min-width:4.5rem}
details{margin:.4rem 0 1rem}summary{cursor:pointer;color:var(--quiet);font-size:.9rem}
footer{margin-top:2.5rem;color:var(--quiet);font-size:.85rem}
@media(max-width:44rem){td.figure{white-space:nowrap}}
@media print{details>*{display:block}body{font-size:11pt}}
"""

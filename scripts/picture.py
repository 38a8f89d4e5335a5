#!/usr/bin/env python3
"""Take the pictures of the README: run `tidegate demo --once` in a pseudo-terminal, and draw what it printed.

    python scripts/picture.py [-- DEMO OPTIONS]

Writes docs/pictures/start.svg (chapters 1 to 3), demo.svg (4 to 7) and calls.svg (8). What is drawn is what came out of
the terminal, every line of it, between the first and the last line of those chapters; nothing is edited.
"""

import argparse
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "pictures"
COLUMNS, ROWS = 100, 50
PICTURES = (
    ("start.svg", "tidegate demo: a workspace, served by one command", 1, 3),
    ("demo.svg", "tidegate demo: release, ask, replace, roll back", 4, 7),
    ("calls.svg", "tidegate demo: what the platform remembers", 8, 8),
)
THEME = TerminalTheme(
    (24, 27, 33), (214, 219, 226),
    [(60, 66, 78), (240, 113, 120), (140, 200, 120), (235, 190, 110), (110, 170, 240), (200, 150, 230),
     (90, 195, 205), (214, 219, 226)],
    [(110, 118, 132), (250, 140, 145), (165, 220, 145), (250, 210, 140), (140, 190, 250), (215, 175, 240),
     (125, 215, 225), (240, 243, 247)],
)  # fmt: skip
FORMAT = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<!-- Drawn by scripts/picture.py from the terminal's own output. -->
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px; white-space: pre;
}}
.{unique_id}-title {{ font-size: 16px; font-family: system-ui, "DejaVu Sans", Arial, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""

CONTROL = re.compile(r"\x1b\[(?P<numbers>[0-9;?]*)(?P<verb>[A-Za-z])|(?P<plain>[\r\n\x07\x08])")
CHAPTER = re.compile(r"^(\d)  .* ─{5,}\s*$")
END = re.compile(r"^─+ Everything was stopped ─+$")


def main() -> int:
    """Record, cut, draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("demo", nargs="*", help="options for `tidegate demo`, after --")
    options = parser.parse_args().demo
    print(f"running: tidegate demo --once {' '.join(options)}", flush=True)
    output, code = record([sys.executable, "-m", "tidegate", "demo", "--once", *options])
    if code:
        print(output, file=sys.stderr)
        print(f"picture: the demo ended with code {code}. Mend: see above.", file=sys.stderr)
        return 1
    lines = settled(output)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, title, first, last in PICTURES:
        file = FOLDER / name
        file.write_text(drawn(chapters(lines, first, last), title, name), encoding="utf-8")
        print(f"wrote {file.relative_to(ROOT)}", flush=True)
    return 0


def record(argv: list[str]) -> tuple[str, int]:
    """Run a command in a pseudo-terminal; return all that it printed, and its exit code."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environ = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    process = subprocess.Popen(
        argv, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, cwd=ROOT, start_new_session=True
    )
    os.close(theirs)
    parts = []
    while True:
        try:
            part = os.read(ours, 65_536)
        except OSError:  # Linux says so when the last one who holds the other end is gone
            break
        if not part:
            break
        parts.append(part)
    os.close(ours)
    return b"".join(parts).decode("utf-8", "replace"), process.wait()


def settled(output: str) -> list[str]:
    """The lines as they stood in the end, colours kept: the cursor's ways (a spinner's, say) are followed."""
    lines, row, fresh, at = [""], 0, False, 0
    for match in (*CONTROL.finditer(output), None):
        text = output[at : match.start() if match else len(output)]
        if text:
            lines[row] = text if fresh else lines[row] + text
            fresh = False
        if match is None:
            break
        at = match.end()
        verb, plain = match["verb"], match["plain"]
        if plain == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
            fresh = bool(lines[row])
        elif plain == "\r":
            fresh = not output.startswith("\n", at)  # a line end is \r\n; a lone \r writes the line anew
        elif verb == "K":
            lines[row] = ""
        elif verb == "A":
            row = max(0, row - int(match["numbers"] or 1))
        elif verb == "m":
            lines[row] = match[0] if fresh else lines[row] + match[0]
            fresh = False
    return lines


def chapters(lines: list[str], first: int, last: int) -> list[str]:
    """The lines from the rule of chapter `first` to the end of chapter `last`."""
    plain = [Text.from_ansi(line).plain for line in lines]
    heads = {int(match[1]): number for number, line in enumerate(plain) if (match := CHAPTER.match(line))}
    end = next(number for number, line in enumerate(plain) if END.match(line))
    cut = lines[heads[first] : heads.get(last + 1, end)]
    while cut and not Text.from_ansi(cut[-1]).plain.strip():
        cut.pop()
    return cut


def drawn(lines: list[str], title: str, name: str) -> str:
    """The lines as an SVG that loads nothing from anywhere."""
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True, color_system="truecolor")
        for line in lines:
            console.print(Text.from_ansi(line), soft_wrap=False)
    svg = console.export_svg(title=title, theme=THEME, code_format=FORMAT, unique_id=name.removesuffix(".svg"))
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


if __name__ == "__main__":
    sys.exit(main())

"""The law of the documents: every command shown exists, every link inside the repository leads somewhere."""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.house.tree import Finding, files

Commands = Mapping[str, Callable[[], Any]]
"""The commands by name; each is loaded, as Typer's own object, when it is asked for."""

FENCE = re.compile(r"^\s*(```|~~~)\s*(\w*)")
SHELLS = ("", "bash", "console", "sh", "shell", "text", "zsh")
SPAN = re.compile(r"`([^`\n]+)`")
PROMPT = re.compile(r"^\s*[$%#] (?=\S)")
LINK = re.compile(r"""!?\[[^\]]*\]\(<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:\s+(\S+)|(?:src|href)="([^"]+)\"""")
AFAR = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
ENDS = ("&&", "||", "|", ";", "&", ">", ">>", "<", "2>", "2>&1")


class Line(NamedTuple):
    """One line of a document: where it stands, and whether it is prose or stands in a shell block."""

    number: int
    text: str
    kind: str  # prose, shell, or other


def lines_of(text: str) -> Iterator[Line]:
    """The lines of a Markdown text; a continued line of a shell block is joined to its first."""
    fence, kind, begun, held = "", "prose", 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        mark = FENCE.match(line)
        if mark and (not fence or mark[1] == fence):
            fence = "" if fence else mark[1]
            kind = "prose" if not fence else "shell" if mark[2] in SHELLS else "other"
            continue
        begun = begun if held else number
        held += line
        if kind == "shell" and held.endswith("\\"):
            held = held[:-1]
            continue
        yield Line(begun, held, kind)
        held = ""


def shown(text: str) -> Iterator[tuple[int, list[str]]]:
    """Every command line that a document shows, as words: in shell blocks, and in `spans` of prose.

    A block with prompts ($) shows its output too, so there only the lines with a prompt count.
    """
    lines = list(lines_of(text))
    prompted = {block for block, line in _blocks(lines) if PROMPT.match(line.text) and not line.text.startswith("#")}
    for block, line in _blocks(lines):
        if line.kind == "shell":
            if block not in prompted or PROMPT.match(line.text):
                yield from ((line.number, words) for words in simple_commands(PROMPT.sub("", line.text)))
        elif line.kind == "prose":
            for span in SPAN.findall(line.text):
                yield from ((line.number, words) for words in simple_commands(span))


def _blocks(lines: list[Line]) -> Iterator[tuple[int, Line]]:
    block, before = 0, Line(0, "", "prose")
    for line in lines:
        block += line.kind != before.kind or line.number > before.number + 1
        before = line
        yield block, line


def simple_commands(line: str) -> Iterator[list[str]]:
    """The simple commands of a shell line, without assignments before them: `A=1 x y | z` is [x, y], [z]."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # prose with an apostrophe
        return
    one: list[str] = []
    for word in [*words, ";"]:
        bare = word.rstrip(";")
        if bare and word not in ENDS and (one or not re.match(r"\w+=", bare)):
            one.append(bare)
        if (word in ENDS or word.endswith(";")) and one:
            yield one
            one = []


def untrue_commands(root: Path, commands: Commands, targets: frozenset[str]) -> Iterator[Finding]:
    """Every `tidegate ...` and `make ...` of README.md and docs/ that does not exist."""
    for name in files(root):
        if not (name.endswith(".md") and (name == "README.md" or name.startswith("docs/"))):
            continue
        for line, words in shown((root / name).read_text(encoding="utf-8")):
            what = None
            if words[0].rpartition("/")[2] == "tidegate":
                what = wrong_command(words[1:], commands)
            elif (
                words[0] == "make" and len(words) > 1 and re.fullmatch(r"[a-z-]+", words[1]) and words[1] not in targets
            ):
                what = f"make has no target {words[1]}"
            if what:
                yield Finding(name, line, what, "write the command as `tidegate --help` and `make help` show it")


def wrong_command(words: list[str], commands: Commands) -> str | None:
    """What is wrong with the words after `tidegate`; None when the command and its options exist."""
    words = [word.strip("[](),.") for word in words]
    while words and words[0] in ("--workspace", "-w"):
        words = words[2:]
    if not words or words[0] in ("", "…", "COMMAND", "--help", "-h", "--version", "-V"):
        return None
    for name in words[0].split("|"):
        if name not in commands:
            return f"tidegate has no command {name}"
        what = _wrong_rest(f"tidegate {name}", commands[name](), words[1:])
        if what:
            return what
    return None


def _wrong_rest(path: str, command: Any, words: list[str]) -> str | None:
    under = getattr(command, "commands", None)
    if under is not None and words and re.fullmatch(r"[a-z][a-z|-]*", words[0]):
        for name in words[0].split("|"):
            if name not in under:
                return f"{path} has no command {name}"
            what = _wrong_rest(f"{path} {name}", under[name], words[1:])
            if what:
                return what
        return None
    known = {"--help", "--workspace", "-w"}
    for parameter in command.params:
        known |= {*parameter.opts, *parameter.secondary_opts}
    given = [option.partition("=")[0] for word in words for option in word.split("|") if re.match(r"--?[a-z]", option)]
    unknown = [option for option in given if option not in known]
    return f"{path} has no option {unknown[0]}" if unknown else None


def make_targets(root: Path) -> frozenset[str]:
    """The targets of the Makefile."""
    return frozenset(re.findall(r"^([a-z][a-z-]*):", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def dead_links(root: Path) -> Iterator[Finding]:
    """Every link of a Markdown file to a file or a heading that is not there."""
    there = set(files(root))
    folders = {parent.as_posix() for name in there for parent in Path(name).parents}
    for name in sorted(there):
        if not name.endswith(".md") or name.startswith("vendor/"):
            continue
        for line in lines_of((root / name).read_text(encoding="utf-8")):
            if line.kind != "prose":
                continue
            for groups in LINK.findall(SPAN.sub("", line.text)):
                target = next(filter(None, groups))
                what = None if AFAR.match(target) else _dead(root, name, target, there | folders)
                if what:
                    yield Finding(name, line.number, what, "mend the link, or the file's name")


def _dead(root: Path, name: str, target: str, there: set[str]) -> str | None:
    path, _, heading = target.partition("#")
    full = (root / name).parent / path if path else root / name
    try:
        inside = full.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return f"the link {target} leads out of the repository"
    if inside not in there:
        return f"the link {target} leads nowhere"
    if heading and inside.endswith(".md") and heading not in anchors(full.read_text(encoding="utf-8")):
        return f"the link {target} names a heading that is not there"
    return None


def anchors(text: str) -> set[str]:
    """The anchors of a Markdown text: its headings in small letters, words joined by hyphens."""
    found: set[str] = set()
    for line in lines_of(text):
        heading = re.match(r"#{1,6}\s+(.*)", line.text) if line.kind == "prose" else None
        if heading:
            plain = re.sub(r"[^\w\- ]", "", heading[1].strip().lower()).replace(" ", "-")
            again = sum(1 for anchor in found if re.fullmatch(rf"{re.escape(plain)}(-\d+)?", anchor))
            found.add(f"{plain}-{again}" if again else plain)
        found |= set(re.findall(r'(?:id|name)="([^"]+)"', line.text))
    return found

"""Reading the tree: sources parsed once, and the finding that a law returns."""

import ast
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, order=True)
class Finding:
    """One place where a law is broken, and what to do about it."""

    path: str
    line: int
    what: str
    mend: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}. Mend: {self.mend}"


@dataclass(frozen=True)
class Source:
    """One Python file: its path from the root, its text by lines and its syntax tree."""

    path: str
    lines: tuple[str, ...]
    tree: ast.Module

    @property
    def module(self) -> tuple[str, ...]:
        """The parts of the module's name below the package: `src/tidegate/kernel/ids.py` is (kernel, ids)."""
        parts = Path(self.path).with_suffix("").parts[2:]
        return parts[:-1] if parts and parts[-1] == "__init__" else parts

    def marked(self, node: ast.stmt) -> str:
        """The lines of a statement, with the comments on them."""
        return "\n".join(self.lines[node.lineno - 1 : node.end_lineno])


@cache
def sources(root: Path, *folders: str) -> tuple[Source, ...]:
    """Every Python file below the folders of a tree, sorted by path."""
    found = []
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            tree = ast.parse(text, str(path))
            found.append(Source(path.relative_to(root).as_posix(), tuple(text.splitlines()), tree))
    return tuple(found)


@cache
def files(root: Path) -> tuple[str, ...]:
    """Every file that Git holds or would hold, as paths from the root; without Git, every file there is."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        names = {name for name in listed.stdout.split("\0") if name}
    else:
        names = {path.relative_to(root).as_posix() for path in root.rglob("*")}
    return tuple(sorted(name for name in names if (root / name).is_file()))


def functions(tree: ast.AST) -> Iterator[Function]:
    """Every function and method below a node."""
    return (node for node in ast.walk(tree) if isinstance(node, FUNCTIONS))


def top_level(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported, those under `if`, `try` and `with` too."""
    for node in body:
        yield node
        for field in ("body", "orelse", "finalbody"):
            if isinstance(node, (ast.If, ast.Try, ast.With)):
                yield from top_level(getattr(node, field, ()))
        if isinstance(node, ast.Try):
            for handler in node.handlers:
                yield from top_level(handler.body)


def hold(findings: Iterable[Finding]) -> None:
    """Fail with every finding, one a line."""
    broken = sorted(set(findings))
    if broken:
        pytest.fail(f"{len(broken)} times broken:\n" + "\n".join(map(str, broken)), pytrace=False)


def plant(root: Path, **texts: str) -> Path:
    """Write a small tree for a self-test: `a__b=...` writes a/b.py below src/tidegate. Returns the root."""
    for name, text in texts.items():
        path = (
            root
            / "src"
            / "tidegate"
            / (name.replace("__init__", "@").replace("__", "/").replace("@", "__init__") + ".py")
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root

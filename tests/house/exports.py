"""The law of the front door: a package that exports names says which, sorted, and says no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house import laws
from tests.house.tree import FUNCTIONS, Finding, Source, sources, top_level


def broken(root: Path) -> Iterator[Finding]:
    """Every `__init__.py` of src/ whose `__all__` is missing or untrue; every `__all__` that is unsorted."""
    for source in sources(root, "src"):
        listed = named_in_all(source)
        if listed is not None and listed[1] != in_order(listed[1]):
            order = ", ".join(in_order(listed[1]))
            yield Finding(source.path, listed[0], "__all__ is not sorted, or names a thing twice", f"write {order}")
        if source.path.endswith("/__init__.py"):
            yield from untrue(source, listed)


def untrue(source: Source, listed: tuple[int, list[str]] | None) -> Iterator[Finding]:
    """The differences between what a package exports and what it says it exports."""
    public = exported(source)
    if listed is None:
        if public:
            what = f"the package exports {', '.join(sorted(public))} and has no __all__"
            yield Finding(source.path, 1, what, "write __all__")
        return
    line, names = listed
    for name in sorted(public - set(names)):
        yield Finding(source.path, line, f"{name} is exported but not in __all__", "add it, or call it _" + name)
    for name in sorted(set(names) - public - {"__version__"}):
        yield Finding(source.path, line, f"{name} is in __all__ but not exported", "import it, or take it out")


def named_in_all(source: Source) -> tuple[int, list[str]] | None:
    """The line and the names of `__all__`, None when there is none."""
    for node in source.tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            value = getattr(node, "value", None)
            return node.lineno, list(ast.literal_eval(value)) if value is not None else []
    return None


def exported(source: Source) -> set[str]:
    """The public names of a package: what it defines or takes from Tidegate, not what it uses of others."""
    names: set[str] = set()
    for node in top_level(source.tree.body):
        if isinstance(node, (ast.ClassDef, *FUNCTIONS)):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").split(".")[0] == laws.PACKAGE):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if not name.startswith("_")}


def in_order(names: list[str]) -> list[str]:
    """Sorted as the linter sorts them: CONSTANTS, Classes, then the rest, with numbers as numbers."""

    def key(name: str) -> tuple[int, list[tuple[bool, int, str]]]:
        kind = 0 if name.isupper() else 1 if name[:1].isupper() else 2
        return kind, [
            (not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", name)
        ]

    return sorted(set(names), key=key)

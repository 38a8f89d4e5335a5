"""The law of the table: who may import whom, and what stays pure."""

import ast
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.house import laws
from tests.house.laws import Row
from tests.house.tree import FUNCTIONS, Finding, Source, sources


class Import(NamedTuple):
    """One imported thing, its full dotted name resolved."""

    line: int
    name: str
    inside: bool  # in a function
    typing: bool  # under `if TYPE_CHECKING`


def broken(root: Path) -> Iterator[Finding]:
    """Every import that the table forbids."""
    for source in sources(root, "src"):
        room = room_of(source.module)
        row = row_of(source.module)
        if row is None:
            yield Finding(source.path, 1, f"the room {room} is not in the table", "add its row to tests/house/laws.py")
            continue
        for item in imports(root, source):
            what = judge(source.module, room, row, item)
            if what:
                yield Finding(source.path, item.line, *what)
        yield from impure(root, source)


def room_of(module: tuple[str, ...]) -> str:
    """The room of a module: (control, prompts, store) is in control/prompts, (gateway, call) in gateway."""
    if not module:
        return "."
    depth = {"control": 2, "adapters": 2, "doors": 2}.get(module[0], 1)
    if module[:2] == ("gateway", "stages") and len(module) > 2:
        depth = 3
    return "/".join(module[:depth])


def row_of(module: tuple[str, ...]) -> Row | None:
    """The row that holds for a module; None when its room is not in the table."""
    room = room_of(module)
    head, _, tail = room.partition("/")
    base = laws.ROOMS.get(head)
    if base is None:
        return None
    more = Row()
    if head == "control":
        if tail and tail not in laws.SLICES:
            return None
        earlier = laws.SLICES[: laws.SLICES.index(tail)] if tail else laws.SLICES
        more = Row(tuple(f"control/{name}" for name in earlier))
    elif head == "gateway" and tail:
        return laws.STAGES.get(room.rpartition("/")[2], laws.STAGE)
    elif head in ("adapters", "doors") and tail:
        listed = (laws.ADAPTERS if head == "adapters" else laws.DOORS).get(tail)
        if listed is None:
            return None
        more = listed
    single = next((row for pattern, row in laws.FILES.items() if covers(pattern, module)), Row())
    return Row(base.may + more.may + single.may, base.third + more.third + single.third)


def covers(pattern: str, module: tuple[str, ...]) -> bool:
    """Tell whether a place of the table, `control/*/model`, is the module or a folder around it."""
    parts = pattern.split("/")
    return len(module) >= len(parts) and all(fnmatchcase(name, part) for name, part in zip(module, parts, strict=False))


def judge(module: tuple[str, ...], room: str, row: Row, item: Import) -> tuple[str, str] | None:
    """What is wrong with one import, and the mend; None when it is allowed."""
    top = item.name.partition(".")[0]
    if top == laws.PACKAGE:
        return judge_own(room, row, item)
    if top in sys.stdlib_module_names:
        return None
    if any(_below(item.name, name) for name in laws.NOWHERE):
        return f"{item.name} is imported; no room may", "write it in SQLAlchemy Core"
    if top in laws.OPTIONAL and not (item.inside or item.typing):
        return (
            f"the optional extra {top} is imported at module level",
            "import it in the function, `# optional extra`",
        )
    if top in laws.OPTIONAL and any(covers(place, module) for place in laws.OPTIONAL[top]):
        return None
    if top in laws.EVERYWHERE or top in row.third:
        return None
    allowed = ", ".join((*laws.EVERYWHERE, *row.third))
    return (
        f"{room} imports {top}; its third parties are: {allowed}",
        "move the code to the room that owns that library",
    )


def judge_own(room: str, row: Row, item: Import) -> tuple[str, str] | None:
    """What is wrong with an import of Tidegate's own."""
    target = tuple(item.name.split(".")[1:])
    own = room != "." and covers(room, target)
    if own or target in ((), ("__version__",)) or any(covers(place, target) for place in row.may):
        return None
    allowed = ", ".join(row.may) or "no other room"
    return (
        f"{room} imports {item.name}; it may import: {allowed}",
        "invert it by a port, or move the code to its room",
    )


def imports(root: Path, source: Source) -> Iterator[Import]:
    """Every import of a file: statements anywhere, and `import_module` with a constant name."""
    yield from _imports(root, source, source.tree, inside=False, typing=False)


def _imports(root: Path, source: Source, node: ast.AST, *, inside: bool, typing: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        for name in _names(root, source, child):
            yield Import(getattr(child, "lineno", 1), name, inside, typing)
        guarded = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        within = inside or isinstance(child, FUNCTIONS)
        yield from _imports(root, source, child, inside=within, typing=typing or guarded)


def _names(root: Path, source: Source, node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            package = ("tidegate", *source.module)[: None if source.path.endswith("__init__.py") else -1]
            base = ".".join((*package[: len(package) - node.level + 1], *filter(None, [node.module])))
        # `from tidegate.control import prompts` is a module, `from tidegate.kernel.ids import x` is of one
        return [f"{base}.{alias.name}" if _deep(root, base, alias.name) else base for alias in node.names]
    if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in (
        "import_module",
        "__import__",
    ):
        first = node.args[0] if node.args else None
        return [first.value] if isinstance(first, ast.Constant) and isinstance(first.value, str) else []
    return []


def _deep(root: Path, base: str, name: str) -> bool:
    if base == laws.PACKAGE or not base.startswith(f"{laws.PACKAGE}."):
        return True
    return (*base.split(".")[1:], name) in _modules(root)


@cache
def _modules(root: Path) -> frozenset[tuple[str, ...]]:
    """Every module and package of the tree, the packages without __init__.py too."""
    named = {source.module for source in sources(root, "src")}
    return frozenset(parts[:depth] for parts in named for depth in range(1, len(parts) + 1))


def impure(root: Path, source: Source) -> Iterator[Finding]:
    """Every touch of the outer world in a place that must be pure."""
    if not any(covers(place, source.module) for place in laws.PURE):
        return
    mend = "take the value as an argument, or put a port in between"
    allowed = {name for place, names in laws.IO_ALLOWED.items() if covers(place, source.module) for name in names}
    partly = set()  # modules of which one name may be used
    for item in imports(root, source):
        if item.name.partition(".")[0] not in laws.IO or any(_below(item.name, name) for name in allowed):
            continue
        if any(_below(name, item.name) for name in allowed):
            partly.add(item.name)
        else:
            yield Finding(source.path, item.line, f"a pure place imports {item.name}", mend)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in partly:
            name = ast.unparse(node)
            if not any(_below(name, good) or _below(good, name) for good in allowed):
                yield Finding(source.path, node.lineno, f"a pure place uses {name}", mend)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in laws.IO_CALLS:
            yield Finding(source.path, node.lineno, f"a pure place calls {node.func.id}()", mend)


def _below(name: str, whole: str) -> bool:
    return name == whole or name.startswith(f"{whole}.")

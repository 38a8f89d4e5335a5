"""The laws of module state: nothing at module level changes after import, and imports stand at the top."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house import laws
from tests.house.tree import Finding, Function, Source, functions, sources, top_level

CONTAINERS = (
    "bytearray", "ChainMap", "Counter", "defaultdict", "deque", "dict", "list", "OrderedDict", "set",
    "WeakKeyDictionary", "WeakSet", "WeakValueDictionary",
)  # fmt: skip
STATEFUL = ("Condition", "count", "cycle", "Event", "Lock", "Queue", "RLock", "Semaphore", "SimpleQueue")
LITERALS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
READ_ONLY = re.compile(r"\b(Final|Mapping|Sequence|Set|AbstractSet|Collection|Iterable|TypeAlias)\b")
CHANGES = (
    "add", "append", "appendleft", "clear", "difference_update", "discard", "extend", "extendleft", "insert",
    "intersection_update", "pop", "popitem", "popleft", "remove", "reverse", "rotate", "setdefault", "sort",
    "subtract", "symmetric_difference_update", "update",
)  # fmt: skip
CONSTANT = re.compile(r"_*[A-Z][A-Z0-9_]*$")


def changeable(root: Path) -> Iterator[Finding]:
    """Module-level names of src/ that change, or that others could change."""
    for source in sources(root, "src"):
        bound = {}
        for node in top_level(source.tree.body):
            for name, value, annotation in bindings(node):
                bound[name] = value
                what = open_to_change(name, value, annotation)
                if what:
                    yield Finding(source.path, node.lineno, *what)
        yield from changes(source, frozenset(bound))


def bindings(node: ast.stmt) -> Iterator[tuple[str, ast.expr, str]]:
    """The names that a statement binds, each with its value and its annotation."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Name):
                yield target.id, node.value, ""
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
        yield node.target.id, node.value, ast.unparse(node.annotation)


def open_to_change(name: str, value: ast.expr, annotation: str) -> tuple[str, str] | None:
    """What is wrong with one binding, and the mend. TABLES may stand: private ones, or read-only by type."""
    if name == "__all__":
        return None
    called = ast.unparse(value.func).split(".")[-1].split("[")[0] if isinstance(value, ast.Call) else ""
    if called in STATEFUL:
        return f"{name} is a {called} at module level", "make it at start and hand it to who needs it"
    if not isinstance(value, LITERALS) and called not in CONTAINERS:
        return None
    if not CONSTANT.match(name):
        return (
            f"{name} is a container that changes at module level",
            "hand it in, or make it a TUPLE or frozenset",
        )
    if name.startswith("_") or READ_ONLY.search(annotation):
        return None
    return (
        f"the constant {name} can be changed by others",
        "make it a tuple, frozenset or MappingProxyType, or Final",
    )


def changes(source: Source, bound: frozenset[str]) -> Iterator[Finding]:
    """Every place where a function changes a name of its module: `X[k] = v`, `X.append(v)`, `global X`."""
    mend = "return the new value, or hold it in an object that is handed in"
    for function in functions(source.tree):
        ours = bound - locals_of(function)
        for node in ast.walk(function):
            if isinstance(node, ast.Global):
                yield Finding(source.path, node.lineno, f"global {', '.join(node.names)}", mend)
            changed = changed_name(node)
            if changed in ours:
                yield Finding(source.path, getattr(node, "lineno", 1), f"{changed} of the module is changed", mend)


def locals_of(function: Function) -> frozenset[str]:
    """The names that a function binds itself."""
    names = {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    shared = {name for node in ast.walk(function) if isinstance(node, ast.Global) for name in node.names}
    return frozenset(names - shared)


def changed_name(node: ast.AST) -> str:
    """The plain name that a node changes in place, or an empty text."""
    target: ast.expr | None = None
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del)):
        target = node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGES:
        target = node.func.value
    elif isinstance(node, ast.AugAssign):
        target = node.target
    return target.id if isinstance(target, ast.Name) else ""


def imported_late(root: Path) -> Iterator[Finding]:
    """Imports inside functions of src/ that do not say why."""
    for source in sources(root, "src"):
        for function in functions(source.tree):
            for node in ast.walk(function):
                if not isinstance(node, (ast.Import, ast.ImportFrom)):
                    continue
                if not any(re.search(mark, source.marked(node)) for mark in laws.LAZY_MARKS):
                    what = f"import inside {function.name}(): {ast.unparse(node)}"
                    mend = "move it to the top; if it must stay, say `# optional extra` or `# lazy: why`"
                    yield Finding(source.path, node.lineno, what, mend)

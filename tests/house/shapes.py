"""The laws of size and name: short files, short functions, few parameters, words that say the domain."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from tests.house import laws
from tests.house.tree import Finding, Function, Source, functions, sources

FOLDERS = ("src", "tests", "bench", "scripts", "examples")
TABLES: Mapping[tuple[str, ...], str] = MappingProxyType(
    {("doors", "cli", "main"): "COMMANDS", ("doors", "cli", "evaluation"): "VERBS"}
)


def too_big(root: Path) -> Iterator[Finding]:
    """Files and functions that are too long, functions of src/ that take too much."""
    commands = listed_commands(root)
    for source in sources(root, *FOLDERS):
        if len(source.lines) > laws.FILE_LINES:
            what = f"{len(source.lines)} lines, at most {laws.FILE_LINES}"
            yield Finding(source.path, laws.FILE_LINES, what, "find the noun that is hiding and give it a file")
        for function in functions(source.tree):
            length = (function.end_lineno or function.lineno) - function.lineno + 1
            if length > laws.FUNCTION_LINES:
                what = f"{function.name}() has {length} lines, at most {laws.FUNCTION_LINES}"
                yield Finding(source.path, function.lineno, what, "name its steps and make each a function")
        if source.path.startswith("src/"):
            yield from too_many_parameters(source, commands)


def too_many_parameters(source: Source, commands: frozenset[str]) -> Iterator[Finding]:
    """Functions with too many parameters; those of a command line are its options, and may be more."""
    cli = source.module[:2] == ("doors", "cli")
    for function in functions(source.tree):
        names = parameters(function)
        if len(names) > laws.PARAMETERS and not (cli and is_command(function, commands)):
            what = f"{function.name}() takes {len(names)} parameters, at most {laws.PARAMETERS}"
            yield Finding(source.path, function.lineno, what, "make those that travel together one value")


def parameters(function: Function) -> list[str]:
    """The parameters of a function, `*args` and `**kwargs` as one each, without self and cls."""
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return [one.arg for one in every if one is not None and one.arg not in ("self", "cls")]


def is_command(function: Function, listed: frozenset[str]) -> bool:
    """Tell whether a function of doors/cli is a command: by its decorator, or by standing in a table."""
    decorated = any(re.search(r"\.(command|callback)\b", ast.unparse(one)) for one in function.decorator_list)
    return decorated or function.name in listed


def listed_commands(root: Path) -> frozenset[str]:
    """The functions that the tables `COMMANDS` and `VERBS` of doors/cli name: the words in their entries."""
    words: set[str] = set()
    for source in sources(root, "src"):
        table = TABLES.get(source.module)
        if table is not None:
            tables = [node for node in source.tree.body if isinstance(node, ast.AnnAssign | ast.Assign)]
            named = [node for node in tables if table in ast.unparse(node).partition("=")[0] and node.value]
            constants = [leaf for node in named for leaf in ast.walk(node) if isinstance(leaf, ast.Constant)]
            words |= {leaf.value for leaf in constants if isinstance(leaf.value, str) and leaf.value.isidentifier()}
    return frozenset(words)


def noted_files(root: Path) -> list[str]:
    """Files that are not too long yet, but long enough to ask which noun is hiding."""
    lengths = {}
    for path in (path for folder in FOLDERS for path in sorted((root / folder).rglob("*.py"))):
        lengths[path.relative_to(root).as_posix()] = len(path.read_text(encoding="utf-8").splitlines())
    return [f"{name}: {length} lines" for name, length in lengths.items() if length > laws.FILE_LINES_NOTED]


def ill_named(root: Path) -> Iterator[Finding]:
    """Classes and modules whose names say nothing."""
    for source in sources(root, *FOLDERS):
        for part in Path(source.path).with_suffix("").parts:
            if part in laws.MODULE_NAMES:
                yield Finding(source.path, 1, f"a module is called {part}", "name it for the noun it owns")
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ClassDef) and node.name.endswith(laws.CLASS_SUFFIXES):
                what = f"the class name {node.name} says nothing"
                yield Finding(source.path, node.lineno, what, "name what it is in the domain: Verdict, Move, Evidence")

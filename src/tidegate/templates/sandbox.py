"""Jinja in a box: parse, check against the grammar, weave the bounds in, compile once, render within bounds.

Three walls stand behind each other: the grammar refuses what is not on its list; what is left is rewritten so
that it reaches items only and is charged for its work; and Jinja's own immutable sandbox is underneath.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, nodes
from jinja2.exceptions import UndefinedError
from jinja2.meta import find_undeclared_variables
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing
from jinja2.visitor import NodeTransformer

from tidegate.templates.faults import TemplateFault, TemplateReport
from tidegate.templates.filters import FILTERS, TESTS
from tidegate.templates.grammar import (
    FORBIDDEN,
    LOOP_FIELDS,
    MAX_SIZE,
    grammar_faults,
    guarded_names,
    is_loop_field,
)
from tidegate.templates.values import MAX_OUTPUT, RESERVED, Unprintable, is_number, text_of
from tidegate.templates.work import (
    CHARGE_KEY,
    CONCAT,
    COUNTED,
    MACHINERY,
    MEMBERS,
    OPERAND,
    Allowance,
    kind_of,
)

__all__ = ["check_jinja", "compile_jinja"]


_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
    "//": lambda left, right: left // right,
    "%": lambda left, right: left % right,
}


class _Missing(StrictUndefined):
    """A value that is not there. Any use of it but `is defined` and `default` raises."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        if self._undefined_obj is missing:
            return f"`{self._undefined_name}` was not given"
        return f"{kind_of(self._undefined_obj)} has no {self._undefined_name!r}"


class _Sandbox(ImmutableSandboxedEnvironment):
    """Reaches items of lists and maps, and nothing else."""

    intercepted_binops = frozenset(_ARITHMETIC)
    intercepted_unops = frozenset("+-")

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, LoopContext) and attribute in LOOP_FIELDS:
            return getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, dict) and isinstance(argument, str) and argument in obj:
            return obj[argument]
        if isinstance(obj, list | tuple) and type(argument) is int and -len(obj) <= argument < len(obj):
            return obj[argument]
        if isinstance(obj, StrictUndefined):
            str(obj)  # raises, naming what is missing
        return self.undefined(obj=obj, name=argument)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return False

    def is_safe_callable(self, obj: Any) -> bool:
        return False

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if not (is_number(left) and is_number(right)):
            raise Unprintable(f"`{operator}` takes two numbers, not {kind_of(left)} and {kind_of(right)}")
        return _checked(operator, _ARITHMETIC[operator](left, right))

    def call_unop(self, context: Context, operator: str, arg: Any) -> Any:
        if not is_number(arg):
            raise Unprintable(f"`{operator}` takes a number, not {kind_of(arg)}")
        return -arg if operator == "-" else arg


def _checked(operator: str, number: int | float) -> int | float:
    fits = math.isfinite(number) if isinstance(number, float) else -(2**63) <= number < 2**63
    if not fits:
        raise Unprintable(f"the result of `{operator}` is too large")
    return number


def _environment() -> _Sandbox:
    box = _Sandbox(
        autoescape=False,
        cache_size=0,
        finalize=text_of,
        keep_trailing_newline=True,
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=_Missing,
    )
    box.globals.clear()
    box.filters = {**FILTERS, **MACHINERY}
    box.tests = dict(TESTS)
    return box


_BOX = _environment()


def check_jinja(text: str) -> TemplateReport:
    """Read a template; its faults come all together, each with its line."""
    return _read(text)[1]


def compile_jinja(text: str) -> Callable[[Mapping[str, object]], str]:
    """Return the function that fills the template; raises Unprintable with the first fault of one that has any.

    The function takes the variables, and raises Unprintable when they do not suit the template.
    """
    tree, report = _read(text)
    if tree is None:
        raise Unprintable(report.faults[0].message)
    try:
        code = _BOX.compile(_Bounds().visit(tree))
    except (TemplateError, RecursionError, SyntaxError, ValueError) as error:
        raise Unprintable(f"the template cannot be compiled ({error})") from error
    root = _BOX.template_class.from_code(_BOX, code, {}).root_render_func

    def fill(variables: Mapping[str, object]) -> str:
        context = _BOX.context_class(_BOX, {**variables, CHARGE_KEY: Allowance()}, None, {})
        try:
            return _gather(root(context))
        except UndefinedError as error:
            raise Unprintable(error.message or "a value was not given") from error
        except (TemplateError, ArithmeticError, TypeError, ValueError, RecursionError) as error:
            raise Unprintable(f"the template stops at these values ({error})") from error

    return fill


def _gather(parts: Iterator[str]) -> str:
    gathered: list[str] = []
    size = 0
    for part in parts:
        size += len(part)
        if size > MAX_OUTPUT:
            raise Unprintable(f"the text grows over {MAX_OUTPUT // 1024} KiB")
        gathered.append(part)
    return "".join(gathered)


def _read(text: str) -> tuple[nodes.Template | None, TemplateReport]:
    """The parsed template and what it tells; None in place of one that has faults."""
    if len(text) > MAX_SIZE:
        message = f"The template is over {MAX_SIZE // 1024} KiB."
        return None, _refusal(1, message, "Pass long texts as variables.", "template_too_large")
    try:
        tree = _BOX.parse(text)
        faults = grammar_faults(tree)
        variables = {} if faults else _variables(tree)
    except TemplateSyntaxError as error:
        message = f"This is not a template: {(error.message or 'it cannot be read').rstrip('.')}."
        return None, _refusal(error.lineno, message, "To write `{{` or `{%` as text, wrap it in {% raw %}.")
    except (RecursionError, ValueError, OverflowError):
        return None, _refusal(1, "The template is nested too deep, or holds too long a number.", "Write it plainer.")
    faults += tuple(_stray(word, line) for word, line in variables.items() if word in RESERVED)
    if faults:
        return None, TemplateReport(faults)
    return tree, TemplateReport((), variables, guarded_names(tree))


def _variables(tree: nodes.Template) -> dict[str, int]:
    """The variables that the template takes, each with the line of its first use."""
    wanted = find_undeclared_variables(tree)
    lines: dict[str, int] = {}
    for name in tree.find_all(nodes.Name):
        if name.name in wanted:
            lines[name.name] = min(name.lineno, lines.get(name.name, name.lineno))
    return lines


def _stray(word: str, line: int) -> TemplateFault:
    return TemplateFault(line, f"`{word}` stands outside of a loop.", "Use it inside {% for %}.", FORBIDDEN)


def _refusal(line: int, message: str, mend: str, code: str = "template_syntax") -> TemplateReport:
    return TemplateReport((TemplateFault(line, message, mend, code),))


class _Bounds(NodeTransformer):
    """Rewrites the tree: attributes become items; loops, comparisons and `~` pass through the machinery."""

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:  # noqa: N802  # Jinja finds it by name
        if is_loop_field(node):
            return node
        self.generic_visit(node)
        return nodes.Getitem(node.node, nodes.Const(node.attr), "load", lineno=node.lineno)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _pass(CONCAT, node.nodes[0], node.nodes[1:])

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.expr = _pass(OPERAND, node.expr)
        for operand in node.ops:
            looks_in = operand.op in ("in", "notin")
            if not (looks_in and isinstance(operand.expr, nodes.List | nodes.Tuple)):
                operand.expr = _pass(MEMBERS if looks_in else OPERAND, operand.expr)
        return node

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        steps = 1 + sum(1 for part in (*node.body, *node.else_) for _ in part.find_all(nodes.Node))
        self.generic_visit(node)
        node.iter = _pass(COUNTED, node.iter, [nodes.Const(steps)])
        return node


def _pass(name: str, value: nodes.Node, arguments: list[nodes.Expr] | None = None) -> nodes.Filter:
    return nodes.Filter(value, name, arguments or [], [], None, None, lineno=value.lineno)

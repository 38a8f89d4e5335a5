"""Which of Jinja's language a prompt may use: an allow-list over the parsed template, before it is compiled.

Allowed: text, variables, `a.b` and `a["b"]` (items of maps and lists, never attributes), `if`, `for` over a
variable, `set`, comparisons, arithmetic on numbers, `~`, and the filters and tests of this package. Whatever is
not named here is refused, so a new construct of a new Jinja is refused too.
"""

from collections.abc import Callable, Iterator, Mapping
from inspect import signature
from typing import Any, NamedTuple, TypeAlias

from jinja2 import nodes

from tidegate.templates.faults import TemplateFault
from tidegate.templates.filters import FILTERS, TESTS
from tidegate.templates.values import RESERVED, is_variable_name
from tidegate.templates.work import MACHINERY

__all__ = ["FORBIDDEN", "LOOP_FIELDS", "MAX_SIZE", "grammar_faults", "guarded_names", "is_loop_field"]

FORBIDDEN = "template_forbidden"
LOOP_FIELDS = frozenset(("depth", "first", "index", "index0", "last", "length", "revindex", "revindex0"))
MAX_SIZE = 256 * 1024
MAX_NODES = 5_000
MAX_NESTING = 40
MAX_LOOPS = 3
_MAX_WHOLE = 2**63

Complaint: TypeAlias = tuple[str, str] | None
"""Message and mend, or nothing to complain of."""

_PLAIN = (
    *(
        nodes.Template,
        nodes.Output,
        nodes.TemplateData,
        nodes.If,
        nodes.CondExpr,
        nodes.Compare,
        nodes.Operand,
    ),
    *(nodes.And, nodes.Or, nodes.Not, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod),
    *(nodes.Neg, nodes.Pos, nodes.Concat, nodes.Keyword),
)
_WHY: Mapping[type[nodes.Node], tuple[str, str]] = {
    nodes.Call: (
        "Templates call nothing.",
        "Use a filter (`x | upper`), or compute the value before rendering.",
    ),
    nodes.CallBlock: ("Templates call nothing.", "Use a filter (`x | upper`)."),
    nodes.Include: (
        "This include is not written in the one form that is read.",
        'Write {% include "name" %} alone, and list the name under `includes:`.',
    ),
    nodes.Pow: ("`**` is not part of prompt templates.", "Compute the power before rendering."),
    nodes.Dict: ("A map cannot be written in a template.", "Pass it as a variable."),
    nodes.Slice: ("Slices are not part of prompt templates.", "Cut the list before rendering."),
}


def is_loop_field(node: nodes.Node) -> bool:
    """Whether the node is `loop.index` or its like."""
    return isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name) and node.node.name == "loop"


def grammar_faults(template: nodes.Template) -> tuple[TemplateFault, ...]:
    """Every node that the allow-list refuses, with its line; one fault alone when the template is too big."""
    faults: list[TemplateFault] = []
    for count, place in enumerate(_walk(template)):
        if count > MAX_NODES or place.depth > MAX_NESTING or place.loops > MAX_LOOPS:
            bounds = f"{MAX_NODES} parts, {MAX_NESTING} levels, {MAX_LOOPS} loops in each other"
            message = f"The template is bigger than {bounds}."
            return (TemplateFault(place.line, message, "Split it, or prepare the text before.", FORBIDDEN),)
        complaint = _complaint(place.node)
        if complaint:
            faults.append(TemplateFault(place.line, *complaint, FORBIDDEN))
    return tuple(faults)


def guarded_names(template: nodes.Template) -> frozenset[str]:
    """Variables that the template copes without: it tests them with `is defined`, or gives a `default`."""
    tests = (node.node for node in template.find_all(nodes.Test) if node.name in ("defined", "undefined"))
    filters = (node.node for node in template.find_all(nodes.Filter) if node.name in ("default", "d"))
    return frozenset(node.name for node in (*tests, *filters) if isinstance(node, nodes.Name))


class _Place(NamedTuple):
    """A node, its line (its parent's when it has none), its depth, and the number of loops around it."""

    node: nodes.Node
    line: int
    depth: int
    loops: int


def _walk(root: nodes.Node) -> Iterator[_Place]:
    """Every node in the order of the text, without recursion."""
    waiting = [_Place(root, 1, 0, 0)]
    while waiting:
        place = waiting.pop()
        yield place
        if not is_loop_field(place.node):
            loops = place.loops + isinstance(place.node, nodes.For)
            children = [
                _Place(child, child.lineno or place.line, place.depth + 1, loops)
                for child in place.node.iter_child_nodes()
            ]
            waiting.extend(reversed(children))


def _complaint(node: nodes.Node) -> Complaint:
    if isinstance(node, _PLAIN):
        return None
    rule = _RULES.get(type(node))
    if rule is not None:
        return rule(node)
    word = type(node).__name__
    fallback = (
        f"`{word.lower()}` is not part of prompt templates.",
        "See docs/reference/prompt-files.md for what is.",
    )
    return _WHY.get(type(node), fallback)


def _name(node: Any) -> Complaint:
    if is_variable_name(node.name):
        return None
    if node.name == "loop":
        return (
            "`loop` stands here alone.",
            f"Write one of {', '.join(f'loop.{name}' for name in sorted(LOOP_FIELDS))}.",
        )
    kind = "is a word of the language" if node.name in RESERVED else "is not a plain ASCII name"
    return f"The name `{node.name}` {kind}.", "Use a-z, 0-9 and `_`, beginning with a letter."


def _const(node: Any) -> Complaint:
    if isinstance(node.value, int) and not -_MAX_WHOLE <= node.value < _MAX_WHOLE:
        return "A number has more than 64 bits.", "Write it as text, in quotes."
    return None


def _attribute(node: Any) -> Complaint:
    if is_loop_field(node):
        if node.attr in LOOP_FIELDS:
            return None
        return f"`loop.{node.attr}` is not known.", f"Known: {', '.join(sorted(LOOP_FIELDS))}."
    return _step(node.attr)


def _step(name: object) -> Complaint:
    if isinstance(name, str) and (name.startswith("_") or not name.isascii()):
        return (
            f"`.{name}` is not reachable.",
            "Only items of maps and lists are, by names that begin with a letter.",
        )
    return None


def _item(node: Any) -> Complaint:
    if isinstance(node.arg, nodes.Const):
        return _step(node.arg.value)
    return _WHY[nodes.Slice] if isinstance(node.arg, nodes.Slice) else None


def _loop(node: Any) -> Complaint:
    if node.recursive:
        return "Recursive loops are not part of prompt templates.", "Drop `recursive`."
    source = node.iter
    while isinstance(source, nodes.Filter | nodes.Getattr | nodes.Getitem) and source.node is not None:
        source = source.node
    if not isinstance(source, nodes.Name):
        return "A loop walks over something that is not a variable.", "Pass the list as a variable."
    return None


def _assignment(node: Any) -> Complaint:
    return None if isinstance(node.target, nodes.Name) else ("`set` sets one name.", "Write {% set name = value %}.")


def _filter(node: Any) -> Complaint:
    if node.node is None:
        return "A filter stands without a value.", "Write {{ value | filter }}."
    if node.name not in FILTERS:
        return (
            f"There is no filter `{node.name}` in prompt templates.",
            f"Known: {', '.join(sorted(FILTERS))}.",
        )
    try:
        signature(FILTERS[node.name]).bind(node.node, *node.args, **{each.key: each.value for each in node.kwargs})
    except TypeError as error:
        return f"`{node.name}` does not take these arguments: {error}.", "See docs/reference/prompt-files.md."
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        return "A filter's arguments are unpacked with `*`.", "Write them out."
    return None


def _test(node: Any) -> Complaint:
    if node.name not in TESTS:
        return (
            f"There is no test `is {node.name}` in prompt templates.",
            f"Known: {', '.join(sorted(TESTS))}.",
        )
    if node.args or node.kwargs or node.dyn_args is not None or node.dyn_kwargs is not None:
        return f"`is {node.name}` takes no arguments.", "Take them away."
    return None


def _constants(node: Any) -> Complaint:
    if getattr(node, "ctx", "load") == "store" or all(isinstance(item, nodes.Const) for item in node.items):
        return None
    return "A list in a template holds fixed values only.", "Pass the list as a variable."


_RULES: Mapping[type[nodes.Node], Callable[[Any], Complaint]] = {
    nodes.Name: _name,
    nodes.Const: _const,
    nodes.Getattr: _attribute,
    nodes.Getitem: _item,
    nodes.For: _loop,
    nodes.Assign: _assignment,
    nodes.Filter: _filter,
    nodes.Test: _test,
    nodes.List: _constants,
    nodes.Tuple: _constants,
}

assert not MACHINERY.keys() & FILTERS.keys()

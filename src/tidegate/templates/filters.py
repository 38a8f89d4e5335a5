"""The filters and tests that templates may use: our own, each bounded in what it makes.

Jinja's are not used: some call by name (`map`), reach attributes (`attr`), or make huge text from small
(`center`, `format`, `indent` by a billion).
"""

from collections.abc import Callable, Mapping

from jinja2.runtime import Undefined

from tidegate.templates.values import MAX_OUTPUT, Unprintable, bounded, is_number, json_text, text_of
from tidegate.templates.work import Filter, charged, kind_of

__all__ = ["FILTERS", "TESTS"]


def _text(value: object, what: str) -> str:
    if type(value) is not str:
        raise Unprintable(f"`{what}` takes text, not {kind_of(value)}")
    return value


def _items(value: object, what: str) -> list[object]:
    if not isinstance(value, list | tuple):
        raise Unprintable(f"`{what}` takes a list, not {kind_of(value)}")
    return list(value)


def _number(value: object, what: str) -> int | float:
    if not is_number(value):
        raise Unprintable(f"`{what}` takes a number, not {kind_of(value)}")
    return value


# ----------------------------------------------------------------------------------------------------- text


def _upper(value: object) -> str:
    return bounded(_text(value, "upper").upper())


def _lower(value: object) -> str:
    return bounded(_text(value, "lower").lower())


def _capitalize(value: object) -> str:
    return bounded(_text(value, "capitalize").capitalize())


def _title(value: object) -> str:
    return bounded(_text(value, "title").title())


def _trim(value: object) -> str:
    return _text(value, "trim").strip()


def _replace(value: object, old: object, new: object) -> str:
    text, old, new = _text(value, "replace"), _text(old, "replace"), _text(new, "replace")
    growth = text.count(old) * max(len(new) - len(old), 0)
    if len(text) + growth > MAX_OUTPUT:
        raise Unprintable(f"`replace` grows the text over {MAX_OUTPUT // 1024} KiB")
    return text.replace(old, new)


def _indent(value: object, width: object = 4, first: object = False) -> str:
    text = _text(value, "indent")
    if type(width) is not int or not 0 <= width <= 64:
        raise Unprintable("`indent` takes a width of 0 to 64")
    if len(text) + (text.count("\n") + 1) * width > MAX_OUTPUT:
        raise Unprintable(f"`indent` grows the text over {MAX_OUTPUT // 1024} KiB")
    pad = " " * width
    lines = text.split("\n")
    rest = [pad + line if line else line for line in lines[1:]]
    return "\n".join([(pad if first and lines[0] else "") + lines[0], *rest])


def _truncate(value: object, length: object = 255, end: object = "...") -> str:
    text, end = _text(value, "truncate"), _text(end, "truncate")
    if type(length) is not int or length < len(end):
        raise Unprintable("`truncate` takes a length that is not shorter than its end")
    return text if len(text) <= length else text[: length - len(end)] + end


def _join(value: object, separator: object = "") -> str:
    parts = [text_of(item) for item in _items(value, "join")]
    glue = _text(separator, "join")
    if sum(map(len, parts)) + len(glue) * len(parts) > MAX_OUTPUT:
        raise Unprintable(f"`join` grows the text over {MAX_OUTPUT // 1024} KiB")
    return glue.join(parts)


# ---------------------------------------------------------------------------------------------- lists, maps


def _length(value: object) -> int:
    if not isinstance(value, str | list | tuple | dict):
        raise Unprintable(f"`length` takes text, a list or a map, not {kind_of(value)}")
    return len(value)


def _first(value: object) -> object:
    items = _items(value, "first")
    if not items:
        raise Unprintable("`first` of an empty list")
    return items[0]


def _last(value: object) -> object:
    items = _items(value, "last")
    if not items:
        raise Unprintable("`last` of an empty list")
    return items[-1]


def _reverse(value: object) -> list[object]:
    return _items(value, "reverse")[::-1]


def _sort(value: object, reverse: object = False, attribute: object = None) -> list[object]:
    items = _items(value, "sort")
    keys = [_part(item, attribute) for item in items]
    alike = all(is_number(key) for key in keys) or all(type(key) is str for key in keys)
    if not alike:
        raise Unprintable("`sort` takes a list of only text or only numbers")
    order = sorted(range(len(items)), key=keys.__getitem__, reverse=bool(reverse))  # type: ignore[arg-type]
    return [items[index] for index in order]


def _part(item: object, attribute: object) -> object:
    if attribute is None:
        return item
    if not isinstance(item, dict) or attribute not in item:
        raise Unprintable(f"`sort` finds no {attribute!r} in an item of the list")
    return item[attribute]


def _unique(value: object) -> list[object]:
    items = _items(value, "unique")
    if not all(type(item) is str or is_number(item) for item in items):
        raise Unprintable("`unique` takes a list of text or numbers")
    return list(dict.fromkeys(items))


def _pairs(value: object) -> list[tuple[object, object]]:
    if not isinstance(value, dict):
        raise Unprintable(f"`items` takes a map, not {kind_of(value)}")
    return list(value.items())


def _sorted_pairs(value: object) -> list[tuple[object, object]]:
    return sorted(_pairs(value), key=lambda pair: str(pair[0]))


# -------------------------------------------------------------------------------------------------- numbers


def _abs(value: object) -> int | float:
    return abs(_number(value, "abs"))


def _round(value: object, precision: object = 0) -> int | float:
    number = _number(value, "round")
    if type(precision) is not int or not 0 <= precision <= 15:
        raise Unprintable("`round` takes 0 to 15 digits")
    return round(number) if precision == 0 else round(number, precision)


def _default(value: object, otherwise: object, boolean: object = False) -> object:
    missing = isinstance(value, Undefined) or (bool(boolean) and not value)
    return otherwise if missing else value


_WORKS: Mapping[str, Filter] = {
    "abs": _abs,
    "capitalize": _capitalize,
    "count": _length,
    "dictsort": _sorted_pairs,
    "first": _first,
    "indent": _indent,
    "items": _pairs,
    "join": _join,
    "last": _last,
    "length": _length,
    "lower": _lower,
    "replace": _replace,
    "reverse": _reverse,
    "round": _round,
    "sort": _sort,
    "title": _title,
    "tojson": json_text,
    "trim": _trim,
    "truncate": _truncate,
    "unique": _unique,
    "upper": _upper,
}

FILTERS: Mapping[str, Filter] = {
    **{name: charged(work) for name, work in _WORKS.items()},
    "d": _default,
    "default": _default,
}

TESTS: Mapping[str, Callable[[object], bool]] = {
    "boolean": lambda value: value is True or value is False,
    "defined": lambda value: not isinstance(value, Undefined),
    "mapping": lambda value: isinstance(value, dict),
    "none": lambda value: value is None,
    "number": is_number,
    "sequence": lambda value: isinstance(value, list | tuple),
    "string": lambda value: isinstance(value, str),
    "undefined": lambda value: isinstance(value, Undefined),
}

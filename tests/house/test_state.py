"""Module state and late imports, held against the code; and the small bad trees that they must catch."""

from pathlib import Path

import pytest

from tests.house import state
from tests.house.tree import ROOT, hold, plant


def test_nothing_at_module_level_changes():
    hold(state.changeable(ROOT))


def test_imports_stand_at_the_top():
    hold(state.imported_late(ROOT))


BAD_STATE = [
    ("cache = {}\n", "cache is a container"),
    ("seen: list[str] = []\n", "seen is a container"),
    ("from collections import defaultdict\nby_name = defaultdict(list)\n", "by_name is a container"),
    ("if True:\n    names = {n for n in 'abc'}\n", "names is a container"),
    ("try:\n    import x\nexcept ImportError:\n    known = []\n", "known is a container"),
    ("TABLE = {'a': 1}\n", "the constant TABLE can be changed by others"),
    ("TABLE: dict[str, int] = dict(a=1)\n", "the constant TABLE can be changed by others"),
    ("import threading\n_LOCK = threading.Lock()\n", "_LOCK is a Lock"),
    ("_TABLE = {}\ndef f():\n    _TABLE['a'] = 1\n", "_TABLE of the module is changed"),
    ("_TABLE = {}\ndef f():\n    del _TABLE['a']\n", "_TABLE of the module is changed"),
    (
        "from typing import Final\nSEEN: Final = []\ndef f():\n    SEEN.append(1)\n",
        "SEEN of the module is changed",
    ),
    (
        "from typing import Final\nS: Final = set()\nclass A:\n    async def f(self):\n        S.add(1)\n",
        "S of",
    ),
    ("N = 0\ndef f():\n    global N\n    N += 1\n", "global N"),
]


@pytest.mark.parametrize(("text", "what"), BAD_STATE, ids=[what for _, what in BAD_STATE])
def test_changing_state_is_caught(tmp_path: Path, text: str, what: str):
    found = [str(one) for one in state.changeable(plant(tmp_path, kernel__a=text))]
    assert any(what in line and line.startswith("src/tidegate/kernel/a.py:") for line in found), found


def test_constants_and_locals_are_let_through(tmp_path: Path):
    text = """
from types import MappingProxyType
from typing import Final, Mapping
__all__ = ["B", "f"]
A = (1, 2)
B = frozenset({1})
C = MappingProxyType({"a": 1})
D: Final = {"a": 1}
E: Mapping[str, int] = {"a": 1}
_F = {"a": 1}
logger = print
def f(A):
    A.append(1)
    D = {}
    D["x"] = 1
    for E in []:
        E.update({})
    return _F["a"]
"""
    hold(state.changeable(plant(tmp_path, kernel__a=text)))


def test_a_late_import_is_caught_unless_it_says_why(tmp_path: Path):
    text = (
        "def f():\n"
        "    import json\n"
        "    import numpy  # noqa: PLC0415  # optional extra\n"
        "    import rich  # noqa: PLC0415  # lazy: help needs no Rich\n"
        "    from yaml import (\n        load,  # lazy: costs 30 ms\n    )\n"
        "    from x import y  # lazy:\n"
    )
    found = [str(one) for one in state.imported_late(plant(tmp_path, kernel__a=text))]
    assert [line.split(": ")[0] for line in found] == [
        "src/tidegate/kernel/a.py:2",
        "src/tidegate/kernel/a.py:8",
    ]

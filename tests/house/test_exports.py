"""What packages export, held against the code; and the small bad trees that it must catch."""

from pathlib import Path

import pytest

from tests.house import exports
from tests.house.tree import ROOT, hold, plant


def test_every_package_says_what_it_exports():
    hold(exports.broken(ROOT))


BAD = [
    ("from tidegate.kernel.ids import new_id\n", "exports new_id and has no __all__"),
    ("def f(): ...\n", "exports f and has no __all__"),
    ("from tidegate.kernel.ids import a, b\n\n__all__ = ['b', 'a']\n", "is not sorted"),
    ("from tidegate.kernel.ids import a\n\n__all__ = ['a', 'a']\n", "is not sorted, or names a thing twice"),
    (
        "from tidegate.kernel.ids import A, LIMIT\n\n__all__ = ['A', 'LIMIT', 'Z']\n",
        "Z is in __all__ but not exported",
    ),
    ("from tidegate.kernel.ids import a, b\n\n__all__ = ['a']\n", "b is exported but not in __all__"),
    ("from .ids import a as b\n\n__all__ = ['a']\n", "b is exported but not in __all__"),
]


@pytest.mark.parametrize(("text", "what"), BAD, ids=[what for _, what in BAD])
def test_an_untrue_front_door_is_caught(tmp_path: Path, text: str, what: str):
    found = [str(one) for one in exports.broken(plant(tmp_path, kernel____init__=text))]
    assert any(what in line and line.startswith("src/tidegate/kernel/__init__.py:") for line in found), found


def test_an_unsorted_all_is_caught_in_any_module(tmp_path: Path):
    (found,) = exports.broken(plant(tmp_path, kernel__ids="__all__ = ['b', 'a']\n"))
    assert str(found) == (
        "src/tidegate/kernel/ids.py:1: __all__ is not sorted, or names a thing twice. Mend: write a, b"
    )


def test_a_true_front_door_is_let_through(tmp_path: Path):
    text = (
        '"""A room."""\n\nfrom importlib.metadata import version\nfrom typing import TYPE_CHECKING\n\n'
        "from tidegate.kernel.ids import LIMIT, Money, a2, a10\n\nif TYPE_CHECKING:\n"
        "    from tidegate.client.prompts import Client\n\n"
        '__all__ = ["LIMIT", "Client", "Money", "__version__", "a2", "a10"]\n\n'
        '__version__ = version("x")\n_hidden = 1\n'
    )
    hold(exports.broken(plant(tmp_path, kernel____init__=text, live____init__='"""Empty."""\n')))

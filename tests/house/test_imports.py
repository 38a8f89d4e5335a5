"""Who may import whom, held against the code; and a small bad tree for each way to break it."""

from pathlib import Path

import pytest

from tests.house import imports, laws
from tests.house.tree import ROOT, hold, plant


def test_every_import_is_in_the_table():
    hold(imports.broken(ROOT))


BAD = [
    ("kernel__ids", "import sqlalchemy\n", "kernel imports sqlalchemy"),
    ("kernel__ids", "from tidegate.live.snapshot import Snapshot\n", "kernel imports tidegate.live"),
    ("kernel__money", "import os\n\nx = os.urandom(1)\n", "a pure place imports os"),
    ("kernel__ids", "import os\n\nx = os.getcwd()\n", "a pure place uses os.getcwd"),
    ("kernel__ids", "from os import getcwd\n", "a pure place imports os.getcwd"),
    ("live__ports", "import asyncio\n", "a pure place imports asyncio"),
    ("stats__tests", "def read(path):\n    return open(path).read()\n", "a pure place calls open()"),
    (
        "control__prompts__model",
        "from urllib.request import urlopen\n",
        "a pure place imports urllib.request.urlopen",
    ),
    ("templates__render", "import importlib\nimportlib.import_module('numpy')\n", "templates imports numpy"),
    ("live__calls", "def f():\n    from tidegate.gateway import call\n", "live imports tidegate.gateway"),
    ("live__calls", "if 1 > 0:\n    import tidegate.jobs.database\n", "live imports tidegate.jobs.database"),
    ("control__prompts__service", "import sqlalchemy\n", "control/prompts imports sqlalchemy"),
    ("control__prompts__store", "import sqlalchemy.orm\n", "sqlalchemy.orm is imported; no room may"),
    ("control__prompts__store", "from sqlalchemy.orm import Session\n", "no room may"),
    (
        "control__prompts__service",
        "from tidegate.control import rollouts\n",
        "control/prompts imports tidegate.control",
    ),
    (
        "control__prompts__service",
        "from ..rollouts.model import Move\n",
        "imports tidegate.control.rollouts.model",
    ),
    (
        "control__prompts__service",
        "from tidegate.control.spend import service\n",
        "imports tidegate.control.spend",
    ),
    (
        "control__prompts__service",
        "import tidegate.gateway.call\n",
        "control/prompts imports tidegate.gateway.call",
    ),
    ("control__wishes__model", "", "the room control/wishes is not in the table"),
    ("gateway__pipeline", "import tidegate.stats\n", "gateway imports tidegate.stats"),
    ("gateway__pipeline", "import httpx\n", "gateway imports httpx"),
    (
        "gateway__stages__limit",
        "from tidegate.gateway.stages import cache\n",
        "imports tidegate.gateway.stages.cache",
    ),
    ("gateway__stages__limit", "from .cache import look\n", "imports tidegate.gateway.stages.cache"),
    ("gateway__stages__limit", "import tidegate.templates.compile\n", "imports tidegate.templates.compile"),
    (
        "gateway__stages__limit",
        "import tidegate.gateway.providers.base\n",
        "imports tidegate.gateway.providers.base",
    ),
    ("client__prompts", "import tidegate.gateway.call\n", "client imports tidegate.gateway.call"),
    ("adapters__redis__counters", "import asyncpg\n", "adapters/redis imports asyncpg"),
    (
        "adapters__redis__counters",
        "import tidegate.adapters.sqlite\n",
        "adapters/redis imports tidegate.adapters.sqlite",
    ),
    (
        "adapters__git__repository",
        "import tidegate.control.prompts.service\n",
        "imports tidegate.control.prompts.service",
    ),
    ("adapters__carrier__pigeon", "", "the room adapters/carrier is not in the table"),
    ("app__gateway", "import tidegate.doors.http\n", "app imports tidegate.doors.http"),
    ("app__local", "import xllamacpp\n", "the optional extra xllamacpp is imported at module level"),
    ("client__prompts", "def f():\n    import openai  # optional extra\n", "client imports openai"),
    ("doors__cli__main", "import litestar\n", "doors/cli imports litestar"),
    ("doors__cli__main", "import tidegate.doors.http\n", "doors/cli imports tidegate.doors.http"),
    (
        "doors__cli__main",
        "from tidegate.control.prompts.store import read\n",
        "imports tidegate.control.prompts.store",
    ),
    (
        "doors__http__routes",
        "import tidegate.adapters.sqlite.board\n",
        "imports tidegate.adapters.sqlite.board",
    ),
    ("basement__model", "", "the room basement is not in the table"),
    ("__init__", "import tidegate.kernel.ids\n", ". imports tidegate.kernel.ids"),
]


@pytest.mark.parametrize(
    ("name", "text", "what"), BAD, ids=[f"{name}-{number}" for number, (name, *_) in enumerate(BAD)]
)
def test_a_bad_import_is_caught(tmp_path: Path, name: str, text: str, what: str):
    plant(
        tmp_path,
        gateway__stages__cache="",
        control__rollouts__model="",
        control__spend__service="",
        gateway__call="",
    )
    found = list(imports.broken(plant(tmp_path, **{name: text})))
    assert len(found) == 1, found
    assert what in str(found[0])
    assert str(found[0]).startswith("src/tidegate/")


GOOD = {
    "kernel__ids": "import os\nimport msgspec, yaml\n\nx = os.urandom(3)\n",
    "kernel__names": "import urllib.parse\nfrom urllib.parse import quote\n\nx = urllib.parse.unquote('a')\n",
    "templates__compile": "import jinja2\nfrom tidegate.kernel.ids import x\n",
    "control__rollouts__service": "from tidegate.control.evals.service import run\nfrom . import store\n",
    "control__rollouts__store": "from sqlalchemy.ext.asyncio import AsyncConnection\n",
    "gateway__pipeline": "from tidegate.gateway.stages import send\nimport tidegate.gateway.call\n",
    "gateway__stages__record": "from tidegate.gateway import call, ports\nimport tidegate.live.calls\n",
    "gateway__stages__send": "from tidegate.gateway.providers.base import Provider\n",
    "adapters__sqlite__board": "import aiosqlite\nfrom tidegate.adapters.sql import x\n",
    "adapters__git__repository": "import pygit2\nfrom tidegate.control.prompts.ports import Repository\n",
    "app__local": "import tidegate.control.prompts.service\ndef f():\n    import xllamacpp\n",
    "doors__cli__prompt": "from tidegate import __version__\nimport tidegate.control.prompts.model, rich\n",
    "__main__": "from tidegate.doors.cli.main import main\n",
}


def test_good_imports_are_let_through(tmp_path: Path):
    others = {
        "control__rollouts__model": "",
        "gateway__call": "",
        "gateway__ports": "",
        "gateway__stages____init__": "",
    }
    hold(imports.broken(plant(tmp_path, **others, **GOOD)))


def test_a_slice_may_import_only_the_ones_before_it():
    for place, name in enumerate(laws.SLICES):
        row = imports.row_of(("control", name, "service"))
        assert row is not None
        assert {may for may in row.may if may.startswith("control/")} == {
            f"control/{one}" for one in laws.SLICES[:place]
        }

"""Sizes and names, held against the code; and the small bad trees that they must catch."""

from pathlib import Path

from tests.house import laws, shapes
from tests.house.tree import ROOT, hold, plant


def caught(found: object) -> list[str]:
    return sorted(str(one) for one in found)  # type: ignore[attr-defined]


def test_files_functions_and_parameter_lists_are_short():
    hold(shapes.too_big(ROOT))


def test_names_say_the_domain():
    hold(shapes.ill_named(ROOT))


def test_a_long_file_is_caught_and_a_longish_one_noted(tmp_path: Path):
    plant(tmp_path, kernel__a="x = 1\n" * 501, kernel__b="x = 1\n" * 500, kernel__c="x = 1\n" * 300)
    (found,) = caught(shapes.too_big(tmp_path))
    assert found.startswith("src/tidegate/kernel/a.py:500: 501 lines, at most 500. Mend: ")
    assert [line.rpartition("/")[2] for line in shapes.noted_files(tmp_path)] == [
        "a.py: 501 lines",
        "b.py: 500 lines",
    ]


def test_a_long_function_is_caught(tmp_path: Path):
    body = "    x = 1\n"
    plant(tmp_path, kernel__a="def good():\n" + body * 59 + "\n\nasync def bad():\n" + body * 60)
    (found,) = caught(shapes.too_big(tmp_path))
    assert found.startswith("src/tidegate/kernel/a.py:63: bad() has 61 lines, at most 60. Mend: ")


def test_a_long_parameter_list_is_caught(tmp_path: Path):
    good, bad = "def good(self, a, b, c, /, d, *, e, f): ...", "def bad(self, a, b, c, d, e, *f, **g): ..."
    plant(tmp_path, kernel__a=f"class A:\n    {good}\n    {bad}\n")
    (found,) = caught(shapes.too_big(tmp_path))
    assert found.startswith("src/tidegate/kernel/a.py:3: bad() takes 7 parameters, at most 6. Mend: ")


def test_only_commands_of_the_command_line_may_take_more(tmp_path: Path):
    seven = "(a, b, c, d, e, f, g): ...\n"
    commands = "@app.command('x')\ndef x" + seven + "def listed" + seven + "def helper" + seven + "def _hidden" + seven
    table = "COMMANDS: tuple[C, ...] = (C('listed', 'tidegate.doors.cli.prompt', 'Help.', 'listed'),)\n"
    plant(
        tmp_path,
        doors__cli__main=table,
        doors__cli__prompt=commands,
        doors__http__routes="@app.command('y')\ndef y" + seven,
    )
    found = caught(shapes.too_big(tmp_path))
    assert [line.partition("() takes")[0] for line in found] == [
        "src/tidegate/doors/cli/prompt.py:4: helper",
        "src/tidegate/doors/cli/prompt.py:5: _hidden",
        "src/tidegate/doors/http/routes.py:2: y",
    ]


def test_empty_names_are_caught(tmp_path: Path):
    classes = "".join(f"class Prompt{suffix}: ...\n" for suffix in laws.CLASS_SUFFIXES) + "class Database: ...\n"
    plant(tmp_path, kernel__a=classes, kernel__utils="", kernel__common__b="", kernel__commons="")
    found = caught(shapes.ill_named(tmp_path))
    assert len(found) == len(laws.CLASS_SUFFIXES) + 2
    assert "src/tidegate/kernel/common/b.py:1: a module is called common. Mend: name it for the noun it owns" in found
    assert any("PromptManager says nothing" in line for line in found)

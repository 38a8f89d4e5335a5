"""Documents cannot lie: commands and links, held against what there is; and lies that must be caught."""

import importlib
from functools import partial
from pathlib import Path
from typing import Annotated

import pytest
import typer
import typer.main

from tests.house import docs, laws
from tests.house.tree import ROOT, hold

CLI = f"{laws.PACKAGE}.doors.cli.main"


def test_every_command_shown_exists():
    if not (ROOT / "src" / laws.PACKAGE / "doors" / "cli").exists():
        pytest.skip("the room doors/cli has no tenant yet")
    main = importlib.import_module(CLI)
    commands = {command.name: partial(main.command_of, command) for command in main.COMMANDS}
    hold(docs.untrue_commands(ROOT, commands, docs.make_targets(ROOT)))


def test_every_link_leads_somewhere():
    hold(docs.dead_links(ROOT))


def commands() -> docs.Commands:
    """A small command line: `up`, and the group `prompt` with `lint` and `show`."""

    def up(port: Annotated[int, typer.Option("--port", "-p")] = 1, json: Annotated[bool, typer.Option()] = False): ...

    def lint(name: str, strict: Annotated[bool, typer.Option("--strict/--lax")] = True): ...

    single, group = typer.Typer(add_completion=False), typer.Typer(add_completion=False)
    single.command("up")(up)
    group.command("lint")(lint)
    group.command("show")(lint)
    return {"up": partial(typer.main.get_command, single), "prompt": partial(typer.main.get_command, group)}


def lies(tmp_path: Path, text: str, name: str = "README.md") -> list[str]:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return [str(one) for one in docs.untrue_commands(tmp_path, commands(), frozenset({"test"}))]


LIES = [
    ("Run `tidegate down` now.\n", "README.md:1: tidegate has no command down"),
    ("```sh\ntidegate up\ntidegate prompt burn x\n```\n", "README.md:3: tidegate prompt has no command burn"),
    ("```sh\n.venv/bin/tidegate up --prot 3\n```\n", "README.md:2: tidegate up has no option --prot"),
    (
        "```\nA=1 tidegate up && tidegate prompt lint x --no-strict\n```\n",
        "tidegate prompt lint has no option --no-strict",
    ),
    ("```console\n$ tidegate prompt lint|drop x\n```\n", "tidegate prompt has no command drop"),
    (
        "```sh\ntidegate prompt lint x \\\n  --fast\n```\n",
        "README.md:2: tidegate prompt lint has no option --fast",
    ),
    ("Try `make tests`.\n", "README.md:1: make has no target tests"),
]


@pytest.mark.parametrize(("text", "what"), LIES, ids=[what for _, what in LIES])
def test_a_command_that_does_not_exist_is_caught(tmp_path: Path, text: str, what: str):
    (found,) = lies(tmp_path, text)
    assert what in found
    assert lies(tmp_path / "b", text, "docs/deep/guide.md")


TRUTHS = """
`tidegate`, `tidegate up --port 3 --json`, `tidegate --version`, `tidegate prompt lint|show NAME`,
`tidegate --workspace DIR up -p 3`, `tidegate.yaml`, it's `tidegate prompt`, `make test`, `tidegate ...`

```console
$ TOKEN=x tidegate prompt lint greeting --lax   # a comment
tidegate printed this, which is output
$ cat x | tidegate prompt show --strict - > out.txt; make test
```

```python
tidegate = nothing
```
"""


def test_true_commands_are_let_through(tmp_path: Path):
    assert lies(tmp_path, TRUTHS) == []


def test_dead_links_are_caught_and_live_ones_let_through(tmp_path: Path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "map.md").write_text("# The map: rooms & doors\n\n[up](../README.md) ![x](no.png)\n")
    (tmp_path / "README.md").write_text(
        "[a](docs/map.md) [b](docs/map.md#the-map-rooms--doors) [c](https://example.org) [d](docs/) [e](#h)\n"
        "# H\n`[f](no.md)`\n\n```\n[g](no.md)\n```\n[h](docs/map.md#nowhere)\n[i](../outside.md)\n"
        '<img src="docs/no.svg">\n[j]: docs/none.md\n'
    )
    found = sorted(str(one).partition(". Mend")[0] for one in docs.dead_links(tmp_path))
    assert found == [
        "README.md:10: the link docs/no.svg leads nowhere",
        "README.md:11: the link docs/none.md leads nowhere",
        "README.md:8: the link docs/map.md#nowhere names a heading that is not there",
        "README.md:9: the link ../outside.md leads out of the repository",
        "docs/map.md:3: the link no.png leads nowhere",
    ]

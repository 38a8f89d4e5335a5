"""A supervisor over small programs, as a process of its own: `python -m tests.support.supervised FOLDER`.

FOLDER/programs.json holds the programs: name, Python code, and the fields of Program that differ from the defaults.
What the audience hears goes to stdout, a line each.
"""

import json
import os
import sys
from pathlib import Path

from tidegate.app.supervisor.claim import Claim
from tidegate.app.supervisor.model import Address, Program
from tidegate.app.supervisor.orders import Orders
from tidegate.app.supervisor.supervisor import Plan, Supervisor
from tidegate.kernel.errors import TidegateError
from tidegate.settings import Settings


class Printed:
    """Prints what it hears."""

    def line(self, process: str, text: str) -> None:
        print(f"{process}| {text}", flush=True)

    def note(self, text: str, *, grave: bool = False) -> None:
        for line in text.splitlines():
            print(f"note| {line}", flush=True)

    def ready(self, running: frozenset[str]) -> None:
        print(f"ready| {' '.join(sorted(running))}", flush=True)


def program(folder: Path, fields: dict[str, object]) -> Program:
    name, code = str(fields.pop("name")), str(fields.pop("code"))
    port = fields.pop("port", None)
    return Program(
        name=name,
        argv=(sys.executable, "-c", code),
        orders=Orders(process=name, settings=Settings(workspace=folder), first=bool(fields.pop("first", False))),
        ready_at=Address("127.0.0.1", port) if isinstance(port, int) else None,
        **fields,  # type: ignore[arg-type]  # the fields come from JSON
    )


def main(folder: Path) -> int:
    programs = tuple(program(folder, fields) for fields in json.loads((folder / "programs.json").read_text()))
    plan = Plan(programs=programs, sockets=(), ports={}, drain_s=lambda: float(os.environ.get("DRAIN_S", "5")))
    try:
        claim = Claim(folder / "run")
        try:
            return Supervisor(plan, claim, Printed(), folder / "logs").run()
        finally:
            claim.release()
    except TidegateError as error:
        print(f"raised| {error}", flush=True)
        return 9


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

"""`tidegate demo`: the product's story on a real model, told on the terminal."""

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from tidegate.app.demo.model import PROMPT, DemoOptions, Question
from tidegate.app.demo.platform import Platform
from tidegate.app.demo.story import Story, check_parts, snippet
from tidegate.doors.cli.narrator import INDENT, Narrator
from tidegate.kernel.errors import Unavailable

__all__ = ["demo"]

NARROWEST, WIDEST = 80, 100


def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop everything after the story, and end.")] = False,
    model: Annotated[
        str | None, typer.Option("--model", metavar="URL", help="Any OpenAI-compatible server; else the local model.")
    ] = None,
    model_name: Annotated[str | None, typer.Option("--model-name", help="The model's id at that server.")] = None,
    api_key_env: Annotated[
        str | None, typer.Option("--api-key-env", metavar="VARIABLE", help="The variable that holds its key.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="Make the workspace here, and keep it.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the temporary workspace.")] = False,
) -> int:
    """Tell the product's story on a real model: release, ask, replace, roll back, look into the log."""
    options = DemoOptions(
        once=once, keep=keep, folder=folder, model_url=model, model_name=model_name, api_key_env=api_key_env
    )
    check_parts(options)
    signal.signal(signal.SIGTERM, _end)
    console = Console(width=min(max(Console().width, NARROWEST), WIDEST), highlight=False)
    platform = Platform(os.environ, width=console.width - INDENT, coloured=console.is_terminal and not console.no_color)
    return _tell(options, console, platform)


def _tell(options: DemoOptions, console: Console, platform: Platform) -> int:
    begun = time.perf_counter()
    story = Story(options, Narrator(console), platform)
    try:
        story.tell()
        if options.once:
            code = _close(console, story, begun)
        else:
            _stay(console, story, platform)
            code = _close(console, story, None)
    except KeyboardInterrupt:
        console.print()
        _close(console, story, None)
        return 130
    except BaseException:
        story.close()
        raise
    return code


def _stay(console: Console, story: Story, platform: Platform) -> None:
    """Serve on until Ctrl-C; raises Unavailable when the platform ends by itself."""
    with contextlib.suppress(KeyboardInterrupt):
        _tell_goings_on(console, story)
        code = platform.wait()
        lines = "\n".join(f"  {line}" for line in platform.excerpt())
        raise Unavailable(
            f"`tidegate up` ended with code {code}. Its last words:\n{lines}",
            mend="See the lines above.",
            code="demo_failed",
        )
    console.print()


def _tell_goings_on(console: Console, story: Story) -> None:
    narrator = Narrator(console)
    console.print()
    console.print(Rule("It stays up", style="green"))
    for title, text, language in _goings_on(story):
        console.print(Text(f"\n{title}", style="bold"))
        narrator.listing(text, language)
    end = "." if story.keeps else " and removes the workspace."
    console.print(Text(f"\nCtrl-C stops everything{end}", style="dim"))


def _goings_on(story: Story) -> tuple[tuple[str, str, str], ...]:
    settings = story.settings
    question = Question("A new lamp costs 25 euros.", "How much is a lamp?")
    curl = (
        f"curl {settings.gateway_url}/v1/chat/completions \\\n"
        f"  -H 'Authorization: Bearer {story.key}' \\\n"
        f"  -H 'Content-Type: application/json' \\\n"
        f'  -d \'{{"model": "prompt:{PROMPT}",\n'
        f'       "variables": {{"facts": "{question.facts}", "question": "{question.question}"}}}}\''
    )
    commands = "\n".join(
        (
            f"cd {story.folder}",
            "tidegate calls tail --follow",
            f"tidegate release history {PROMPT} --env production",
            f"tidegate prompt diff {PROMPT} 1.0.0 1.1.0",
        )
    )
    return (
        ("Ask it from a shell", curl, "bash"),
        ("Ask it from Python", snippet(story.settings, story.key, question), "python"),
        ("Look around, in another terminal", commands, "bash"),
        ("Addresses", f"gateway  {settings.gateway_url}/v1\ncontrol  {settings.control_url}/api/v1", "text"),
    )  # fmt: skip


def _close(console: Console, story: Story, begun: float | None) -> int:
    with console.status("stopping") if console.is_terminal else contextlib.nullcontext():
        code = story.close()
    kept = f" The workspace is kept: {story.folder}." if story.keeps else ""
    took = f" All of it took {time.perf_counter() - begun:.0f} s." if begun is not None else ""
    if code:
        raise Unavailable(
            f"The platform did not stop cleanly: code {code}.", mend="Run it again with --keep, and look at its logs.",
            code="demo_failed",
        )  # fmt: skip
    console.print()
    console.print(Rule("Everything was stopped", style="green"))
    console.print(Text(f"The platform ended with code 0.{took}{kept}", style="dim"))
    return 0


def _end(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt

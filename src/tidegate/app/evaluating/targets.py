"""What is evaluated: a version of a prompt on the models of tidegate.yaml, or a Python function."""

from pathlib import Path
from typing import NamedTuple

from tidegate.app.evaluating.desk import Desk
from tidegate.app.evaluating.function import FunctionComplete, load_function
from tidegate.control.evals.asking import Asker, FunctionAsker, PromptAsker
from tidegate.control.prompts.files import read_source
from tidegate.control.prompts.ports import TreeFile
from tidegate.control.prompts.shape import PromptFile, TestsBlock
from tidegate.kernel.complete import Complete

__all__ = ["FUNCTION", "Target", "function_target", "prompt_target", "split"]

FUNCTION = "python:"


class Target(NamedTuple):
    """What is asked, and what it is made of. `file` is the prompt's own, `root` the folder that its dataset is relative
    to. `unpriced`: models that may answer and whose price is unknown.
    """

    name: str
    asker: Asker
    content_hash: str
    model: str
    prompt: str | None = None
    version: str | None = None
    upstream: str = ""
    file: PromptFile | None = None
    root: Path | None = None
    identity: str = ""
    unpriced: tuple[str, ...] = ()

    @property
    def tests(self) -> TestsBlock | None:
        """What the prompt file says of its tests."""
        return self.file.tests if self.file is not None else None


def split(target: str) -> tuple[str, str | None]:
    """`NAME@VERSION` in its parts."""
    name, _, version = target.partition("@")
    return name, version or None


def function_target(target: str, start: Path, *, threads: int, timeout_s: float) -> tuple[Target, Complete]:
    """A function as a target; raises as `load_function`."""
    function, digest = load_function(target.removeprefix(FUNCTION), start)
    asker = FunctionAsker(target, content_hash=digest, timeout_s=timeout_s)
    found = Target(name=target, asker=asker, content_hash=digest, model=target, root=start)
    return found, FunctionComplete(function, target.rpartition(":")[2], threads)


async def prompt_target(
    target: str, workspace: Path | None, start: Path, desk: Desk, *, model: str | None, timeout_s: float
) -> Target:
    """A version of a prompt as it is on disk, committed or not; without a version, the newest. Raises NotFound, or
    InvalidDocument when its file has errors.
    """
    from tidegate.app.prompts_local import open_prompts  # noqa: PLC0415  # lazy: functions need no Git

    prompts = open_prompts(workspace, start)
    shown = prompts.show(*split(target))
    data = shown.text.encode()
    source, _ = read_source(TreeFile(path=shown.path, data=data, size=len(data)))
    assert source is not None  # it was read just now
    prompt = shown.prompt
    alias = model or prompt.model
    answering = await desk.deployments(alias)
    identity = "; ".join(sorted(f"{one.provider} {one.base_url} {one.upstream_model}" for one in answering))
    asker = PromptAsker(prompt, model=alias, identity=identity, settings={}, timeout_s=timeout_s)
    return Target(
        name=f"{prompt.name}@{prompt.version}",
        asker=asker,
        content_hash=prompt.content_hash,
        model=alias,
        prompt=prompt.name,
        version=prompt.version,
        upstream=", ".join(dict.fromkeys(one.upstream_model for one in answering)),
        file=source.file,
        root=prompts.root,
        identity=identity,
        unpriced=tuple(one.name for one in answering if one.price is None),
    )

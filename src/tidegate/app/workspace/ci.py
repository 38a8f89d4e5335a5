"""The files by which a CI system checks prompts in pull requests and starts rollouts by tags."""

import re
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path, PurePosixPath
from string import Template
from types import MappingProxyType
from typing import Literal, TypeAlias

import msgspec

from tidegate.adapters.git.state import work_tree_of
from tidegate.kernel.errors import Conflict, NotFound
from tidegate.settings import CONFIG_NAME

__all__ = ["CI_FILES", "CiChoice", "WrittenCi", "ci_text", "write_ci"]

CiChoice: TypeAlias = Literal["github", "gitlab", "both"]

CI_FILES = MappingProxyType({"github": ".github/workflows/tidegate.yml", "gitlab": ".gitlab-ci.yml"})
_KEY = re.compile(r"^\s*api_key_env:\s*[\"']?([A-Za-z_][A-Za-z0-9_]*)[\"']?\s*(?:#.*)?$", re.MULTILINE)
_EMPTY = ("null", "Null", "NULL")


class WrittenCi(msgspec.Struct, frozen=True, kw_only=True):
    """What was done: files `written` and `kept` (there already, and as they would be written), relative to `root`, the
    repository's folder; `secrets` are variables that the CI system must be given.
    """

    root: str
    written: tuple[str, ...]
    kept: tuple[str, ...]
    secrets: tuple[str, ...]


def write_ci(workspace: Path, choice: CiChoice, *, force: bool = False) -> WrittenCi:
    """Write the files at the top of the repository that the workspace is in (without one, into the workspace).

    Raises NotFound where there is no workspace, Conflict where another file stands, unless `force`.
    """
    folder = workspace.resolve()
    config = folder / CONFIG_NAME
    if not config.is_file():
        raise NotFound("workspace", str(workspace), mend=f"Run `tidegate init {workspace}` first.")
    root = work_tree_of(folder) or folder
    within = PurePosixPath(folder.relative_to(root).as_posix())
    secrets = keys_of(config.read_text(encoding="utf-8", errors="replace"))
    names = list(CI_FILES) if choice == "both" else [choice]
    wanted = {CI_FILES[name]: ci_text(name, within, secrets) for name in names}
    other = [name for name, text in wanted.items() if (root / name).is_file() and _read(root / name) != text]
    if other and not force:
        raise Conflict(
            f"{other[0]} is there already, and says something else.",
            mend="Move it away, or write it anew: --force.",
            code="ci_file_exists",
        )
    kept = [name for name in wanted if (root / name).is_file() and name not in other]
    written = [name for name in wanted if name not in kept]
    for name in written:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(wanted[name], encoding="utf-8", newline="\n")
    return WrittenCi(root=str(root), written=tuple(written), kept=tuple(kept), secrets=secrets)


def ci_text(name: str, within: PurePosixPath, secrets: tuple[str, ...]) -> str:
    """One file. `within`: the workspace's folder in the repository; `secrets`: variables that hold providers' keys."""
    template = files("tidegate.app.workspace").joinpath("pipelines", f"{name}.yml").read_text(encoding="utf-8")
    github = [f"          {key}: ${{{{ secrets.{key} }}}}" for key in secrets]
    gitlab = [f"  # Give as variables of the project, masked: {', '.join(secrets)}"] if secrets else []
    return Template(template).substitute(
        version=version("tidegate"),
        workdir=str(within),
        folder="" if str(within) == "." else f"{within}/",
        github_keys="\n".join(github) or "          # Providers' keys: NAME: ${{ secrets.NAME }}",
        gitlab_keys="\n".join(gitlab) or "  # Give providers' keys as variables of the project, masked.",
    )


def keys_of(config: str) -> tuple[str, ...]:
    """The variables that hold providers' keys."""
    return tuple(dict.fromkeys(name for name in _KEY.findall(config) if name not in _EMPTY))


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")

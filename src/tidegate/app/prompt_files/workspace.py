"""What tidegate.yaml tells the local verbs: where the prompts are, and which models they may ask for.

The file is read for these two only, so that prompts can be checked while other parts of it are wrong.
"""

from pathlib import Path

from tidegate.adapters.git.remotes import is_url
from tidegate.control.prompts.ports import PROMPTS_ROOT
from tidegate.kernel.documents import check_yaml
from tidegate.kernel.errors import NotFound
from tidegate.settings import CONFIG_NAME, find_workspace

__all__ = ["root_and_models"]


def root_and_models(workspace: Path | None, start: Path) -> tuple[Path, frozenset[str] | None]:
    """The folder that holds prompts/, and the known models; None where there is no readable tidegate.yaml.

    Without `workspace` it is the nearest one upwards from `start`, else the nearest folder with prompts/, else
    `start`. Raises NotFound when the workspace takes its prompts from a remote repository.
    """
    if workspace is None:
        try:
            workspace = find_workspace(start)
        except NotFound:
            nearest = (folder for folder in (start, *start.parents) if (folder / PROMPTS_ROOT).is_dir())
            return next(nearest, start).resolve(), None
    blocks = _blocks(workspace)
    source = blocks.get("prompts")
    location = source.get("repository", ".") if isinstance(source, dict) else "."
    if not isinstance(location, str) or is_url(location):
        mend = f"Clone {location} and work there; `tidegate prompt list --env production` asks the server."
        raise NotFound("folder of prompts", workspace.name, mend=mend)
    known = [block for name in ("routes", "models") if isinstance(block := blocks.get(name), dict)]
    models = frozenset(name for block in known for name in block) if known else None
    return (workspace / location).resolve(), models


def _blocks(workspace: Path) -> dict[str, object]:
    text = (workspace / CONFIG_NAME).read_text(encoding="utf-8", errors="replace")
    document, _ = check_yaml(text, CONFIG_NAME)
    return document.value if document is not None and isinstance(document.value, dict) else {}

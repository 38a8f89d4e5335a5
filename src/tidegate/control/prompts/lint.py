"""What a prompt file must keep beyond its shape, by itself and against what stands around it."""

from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from tidegate.control.prompts.files import Source
from tidegate.control.prompts.parameters import check_schemas
from tidegate.control.prompts.shape import GATE_UNITS
from tidegate.kernel.errors import InvalidDocument

__all__ = ["SET_BY_US", "Surroundings", "check_file"]

SET_BY_US = ("messages", "model", "prompt", "stream", "stream_options", "variables")
"""Request fields that do not belong into `model.extra`."""


class Surroundings(NamedTuple):
    """What files are held against outside of themselves. None means unknown, and is not checked.

    `exists` tells of a path beside prompts/; `models` are the routes and models of tidegate.yaml.
    """

    exists: Callable[[str], bool] | None = None
    models: frozenset[str] | None = None


def check_file(source: Source, around: Surroundings) -> Iterator[InvalidDocument]:
    """Every fault of one file but those of its templates, of its includes, and of an edit after its release."""
    yield from _body(source)
    yield from _model(source, around)
    yield from check_schemas(source)
    yield from _tests(source, around)
    yield from _gates(source)


def _body(source: Source) -> Iterator[InvalidDocument]:
    file, fault = source.file, source.document.fault
    if file.kind == "fragment" and (file.template is None or file.messages is not None):
        yield fault((), "A fragment is one text.", mend="Give it `template:`, and no `messages:`.", code="body")
    elif file.messages is not None and file.template is not None:
        yield fault(("template",), "Both `messages` and `template` are there.", mend="Keep one of them.", code="body")
    elif not file.messages and file.template is None:
        mend = "Add `messages:` for a chat prompt, or `template:` for a text prompt."
        yield fault(("messages",), "There is nothing to send.", mend=mend, code="body")


def _model(source: Source, around: Surroundings) -> Iterator[InvalidDocument]:
    file, fault = source.file, source.document.fault
    if file.model is None:
        if file.kind == "prompt":
            mend = "Add `model: {model_id: NAME}`, or `kind: fragment` if it is only included."
            yield fault((), "The prompt names no model.", mend=mend, code="model_missing")
        return
    if file.kind == "fragment":
        mend = "Drop it: the prompt that includes the fragment decides."
        yield fault(("model",), "A fragment names no model.", mend=mend, code="model_missing")
    for name in file.model.extra:
        if name in SET_BY_US:
            path = ("model", "extra", name)
            yield fault(path, f"`{name}` is set by Tidegate.", mend="Take it out.", code="model_extra")
    if around.models is not None and file.model.model_id not in around.models:
        message = f"tidegate.yaml has no route or model `{file.model.model_id}`."
        mend = f"Known: {', '.join(sorted(around.models)) or 'none'}."
        yield fault(("model", "model_id"), message, mend=mend, code="model_unknown")


def _tests(source: Source, around: Surroundings) -> Iterator[InvalidDocument]:
    tests, fault = source.file.tests, source.document.fault
    if tests is None or tests.golden is None:
        return
    path = ("tests", "golden", "dataset")
    place = PurePosixPath(tests.golden.dataset)
    if place.is_absolute() or ".." in place.parts or "\\" in tests.golden.dataset:
        mend = "Name a file below the folder that holds prompts/."
        yield fault(path, f"The dataset {place} lies outside of the repository.", mend=mend, code="dataset_path")
    elif around.exists is not None and not around.exists(place.as_posix()):
        mend = "Paths are relative to the folder that holds prompts/; commit the file."
        yield fault(path, f"There is no dataset {place}.", mend=mend, code="dataset_missing")


def _gates(source: Source) -> Iterator[InvalidDocument]:
    fault = source.document.fault
    for name, gate in source.file.gates.items():
        if name.rpartition("_")[2] not in GATE_UNITS:
            mend = f"End the name with one of {', '.join(f'_{unit}' for unit in GATE_UNITS)}."
            yield fault(("gates", name), f"The gate `{name}` tells no unit.", mend=mend, code="gate_unit")
        if gate.max is None and gate.min is None:
            mend = "Give it `max`, `min` or both."
            yield fault(("gates", name), f"The gate `{name}` has no bound.", mend=mend, code="gate_bounds")
        elif gate.max is not None and gate.min is not None and gate.min > gate.max:
            message = f"The gate `{name}` has its `min` above its `max`."
            yield fault(("gates", name, "min"), message, mend="Swap them.", code="gate_bounds")

"""One version as it is compared: what it takes, says, asks for and promises."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tidegate.control.prompts.library import Library
from tidegate.control.prompts.shape import PromptFile, VersionId, sampling_of
from tidegate.templates.compile import check_template

__all__ = ["Side", "Text", "side_in", "side_of"]

FRAGMENT = "fragment"
TEXT = "text"


class Text(msgspec.Struct, frozen=True):
    """One text with its fragments woven in, where it stands, and the role that it is sent as (`text`, `fragment`: in no
    message). `variables` are those that it uses, `guarded` those of them that it copes without.
    """

    path: str
    role: str
    content: str
    variables: frozenset[str]
    guarded: frozenset[str]


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """A version. `answer_format` and `answer_schema` are what `output` says of the answer, else what a
    `response_format` in the model's settings asks for.
    """

    file: PromptFile
    texts: tuple[Text, ...]
    sampling: Mapping[str, Any]
    answer_format: str
    answer_schema: Any
    answer_path: str

    @property
    def roles(self) -> tuple[str, ...]:
        return tuple(text.role for text in self.texts)


def side_in(library: Library, place: VersionId) -> Side | None:
    """A version of a library; None where its file or one of its fragments cannot be read."""
    file, texts = library.files.get(place), library.woven.get(place)
    return side_of(file, texts) if file is not None and texts is not None else None


def side_of(file: PromptFile, texts: tuple[str, ...]) -> Side:
    """A file with its texts, fragments woven in, in the order of the file's own."""
    sampling = sampling_of(file.model) if file.model else {}
    form, schema, path = _answer(file, sampling)
    return Side(
        file=file,
        texts=tuple(_texts(file, texts)),
        sampling={name: value for name, value in sampling.items() if path == "output" or name != "response_format"},
        answer_format=form,
        answer_schema=schema,
        answer_path=path,
    )


def _texts(file: PromptFile, texts: tuple[str, ...]) -> list[Text]:
    alone = FRAGMENT if file.kind == "fragment" else TEXT
    roles: list[str] = [message.role for message in file.messages] if file.messages is not None else [alone]
    found: list[Text] = []
    for (path, _), role, content in zip(file.texts(), roles, texts, strict=False):
        report = check_template(content, file.template_format)
        where = ".".join(str(step) for step in path)
        found.append(Text(where, role, content, frozenset(report.variables), report.guarded))
    return found


def _answer(file: PromptFile, sampling: Mapping[str, Any]) -> tuple[str, Any, str]:
    """The answer's format (text or json), its schema or None, and where in the file that is said."""
    asked = sampling.get("response_format")
    if file.output.format == "json" or file.output.schema is not None or not isinstance(asked, dict):
        return file.output.format, file.output.schema, "output"
    path = "model.extra.response_format"
    if asked.get("type") == "json_schema" and isinstance(asked.get("json_schema"), dict):
        return "json", asked["json_schema"].get("schema"), path
    return ("json" if asked.get("type") == "json_object" else "text"), None, path

"""YAML files as plain values that know where each value stands; a hostile or surprising file is refused.

What is read is JSON: null, booleans, 64-bit whole numbers, finite numbers, text, lists, and maps with text
keys. Words that YAML 1.1 and 1.2 read differently (`no`, `010`, `12:30`, `1_000`) are refused, not guessed;
dates stay text. The parser is driven one event at a time, so a bomb costs no more than its first kilobytes.
"""

from typing import TypeAlias

import yaml

from tidegate.kernel.errors import InvalidDocument
from tidegate.kernel.nodes import Node, NodeBuilder, Place

__all__ = ["MAX_BYTES", "Document", "Path", "check_yaml", "decode_text", "read_yaml"]

Path: TypeAlias = tuple[str | int, ...]
"""Where a value stands: keys of maps and positions in lists (from 0), from the root down."""

MAX_BYTES = 1024 * 1024
_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Document:
    """What a YAML file says and where. `value` is JSON-shaped, and not to be changed: aliases share it."""

    def __init__(self, file: str, text: str, root: Node) -> None:
        self.file = file
        self.text = text
        self.value = root.value
        self._root = root

    def line_of(self, path: Path) -> int:
        """The line, from 1, of the value at `path` (in a map: of its key); of the last step that exists."""
        return self.place_of(path)[0]

    def place_of(self, path: Path) -> Place:
        """Line and column, from 1, as in `line_of`."""
        node, place = self._root, self._root.place
        for step in path:
            if step not in node.children:
                break
            place = node.places[step]
            node = node.children[step]
        return place

    def written(self, path: Path) -> str:
        """How the scalar at `path` is written (`1.10` for the number 1.1); empty for anything else."""
        node = self._find(path)
        return node.written if node else ""

    def text_place(self, path: Path, line: int) -> Place:
        """Where line `line` (from 1) of the text at `path` stands; exact in `|` blocks, else its begin."""
        node = self._find(path)
        if node is None:
            return self.place_of(path)
        if node.style != "|":
            return node.place
        lines = self.text.split("\n")
        row = min(node.place[0] + max(line, 1), len(lines))
        written = lines[row - 1]
        return row, len(written) - len(written.lstrip(" ")) + 1

    def fault(self, path: Path, message: str, *, mend: str = "", code: str = "") -> InvalidDocument:
        """An InvalidDocument that stands at `path`."""
        line, column = self.place_of(path)
        return InvalidDocument(message, file=self.file, line=line, column=column, mend=mend, code=code)

    def _find(self, path: Path) -> Node | None:
        node: Node | None = self._root
        for step in path:
            node = node.children.get(step) if node else None
        return node


def decode_text(data: bytes, file: str) -> str:
    """The bytes as text, without byte order mark, line ends as `\\n`; raises InvalidDocument if not UTF-8."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        raise InvalidDocument(
            f"Byte 0x{data[error.start]:02x} is not UTF-8.",
            file=file,
            line=before.count(b"\n") + 1,
            column=len(before) - before.rfind(b"\n"),
            mend="Save the file as UTF-8.",
            code="not_utf8",
        ) from error
    return _unix_lines(text)


def read_yaml(text: str, file: str) -> Document:
    """Read one YAML document; raises InvalidDocument, with line and column, for the first fault."""
    document, faults = check_yaml(text, file)
    if document is None or faults:
        raise faults[0]
    return document


def check_yaml(text: str, file: str) -> tuple[Document | None, tuple[InvalidDocument, ...]]:
    """Read one YAML document and tell ALL its faults.

    The document is None when reading had to stop. Where only a word was two-faced or a key stood twice it is
    there, with the word as text and the first of the two keys.
    """
    text = _unix_lines(text)
    builder = NodeBuilder(file)
    try:
        root = _parse(text, file, builder)
    except InvalidDocument as error:
        return None, (*builder.faults, error)
    return Document(file, text, root), tuple(builder.faults)


def _parse(text: str, file: str, builder: NodeBuilder) -> Node:
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        message = f"The file is over {MAX_BYTES // 1024} KiB."
        raise InvalidDocument(message, file=file, line=1, column=1, mend="Split it.", code="yaml_too_large")
    try:
        return builder.document(yaml.parse(text, Loader=_PARSER))
    except yaml.MarkedYAMLError as error:
        raise _syntax_fault(file, error) from error
    except (yaml.YAMLError, UnicodeError) as error:
        position = getattr(error, "position", getattr(error, "start", 0))
        raise InvalidDocument(
            "Here stands a character that YAML does not allow.",
            file=file,
            line=text.count("\n", 0, position) + 1,
            column=position - text.rfind("\n", 0, position),
            mend="Take the control character out.",
            code="yaml_syntax",
        ) from error


def _syntax_fault(file: str, error: yaml.MarkedYAMLError) -> InvalidDocument:
    mark = error.problem_mark or error.context_mark
    reason = ", ".join(part for part in (error.problem, error.context) if part)
    return InvalidDocument(
        f"This is not YAML: {reason}.",
        file=file,
        line=mark.line + 1 if mark else None,
        column=mark.column + 1 if mark else None,
        mend="Look at the indentation, the quotes and the colons.",
        code="yaml_syntax",
    )


def _unix_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")

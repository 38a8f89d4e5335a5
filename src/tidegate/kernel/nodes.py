"""From YAML's events to values with places: bounded in depth, in number and in what aliases expand to."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml

from tidegate.kernel.errors import InvalidDocument
from tidegate.kernel.scalars import TWO_FACED, read_scalar

__all__ = ["MAX_CHARACTERS", "MAX_DEPTH", "MAX_FAULTS", "MAX_NODES", "Node", "NodeBuilder", "Place"]

MAX_DEPTH = 64
MAX_NODES = 20_000
MAX_CHARACTERS = 4 * 1024 * 1024
MAX_FAULTS = 100
_TEXT_TAGS = ("!", "tag:yaml.org,2002:str")

Place: TypeAlias = tuple[int, int]
"""Line and column, both from 1."""


@dataclass(slots=True)
class Node:
    """One value and its place. `size` counts values and `characters` text, both with aliases written out.

    `written` is a scalar as it stands in the file; `style` is YAML's (`|`, `>`, a quote, or nothing).
    """

    value: object
    place: Place
    written: str = ""
    style: str = ""
    size: int = 1
    characters: int = 0
    children: "dict[str | int, Node]" = field(default_factory=dict)
    places: dict[str | int, Place] = field(default_factory=dict)

    def adopt(self, step: str | int, child: "Node", place: Place) -> None:
        """Take `child` in under a key or position, which itself stands at `place`."""
        self.children[step] = child
        self.places[step] = place
        self.size += child.size
        self.characters += child.characters


class NodeBuilder:
    """Turns events into nodes. Faults that leave the rest readable are collected, others are raised."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.faults: list[InvalidDocument] = []
        self._anchors: dict[str | None, Node | None] = {}
        self._size = 0
        self._characters = 0

    def document(self, events: Iterator[yaml.Event]) -> Node:
        """The root of the only document; an empty file is null. Raises InvalidDocument."""
        root = Node(None, (1, 1))
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    mend = "One file holds one document: drop the `---`."
                    raise self._fault(event, "A second document begins here.", mend, "yaml_documents")
            elif isinstance(event, yaml.NodeEvent):
                root = self._node(event, events, 1)
        return root

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self._fault(event, f"Nested deeper than {MAX_DEPTH}.", "Flatten the file.", "yaml_too_deep")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        anchor = event.anchor if isinstance(event, yaml.NodeEvent) else None
        if anchor is not None:
            self._anchors[anchor] = None  # known, but open: an alias to it from inside would never end
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, events, depth)
        else:
            node = self._mapping(event, events, depth)
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _alias(self, event: yaml.AliasEvent) -> Node:
        node = self._anchors.get(event.anchor)
        if node is None:
            where = "stands inside its own anchor" if event.anchor in self._anchors else "has no anchor before it"
            raise self._fault(event, f"The alias *{event.anchor} {where}.", "Write the value out.", "yaml_alias")
        self._count(event, node.size, node.characters)
        return node

    def _sequence(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
        node = self._open(event)
        items: list[object] = []
        while not isinstance(member := next(events), yaml.SequenceEndEvent):
            child = self._node(member, events, depth + 1)
            node.adopt(len(items), child, _place(member))
            items.append(child.value)
        node.value = items
        return node

    def _mapping(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
        node = self._open(event)
        values: dict[str, object] = {}
        while not isinstance(member := next(events), yaml.MappingEndEvent):
            key = self._key(member)
            child = self._node(next(events), events, depth + 1)
            if key in values:
                message = f"The key {key[:60]!r} stands twice in one map."
                self._collect(member, message, "Keep one of them.", "yaml_duplicate_key")
                continue
            node.adopt(key, child, _place(member))
            values[key] = child.value
        node.value = values
        return node

    def _open(self, event: yaml.Event) -> Node:
        self._check_tag(event)
        self._count(event, 1, 0)
        return Node(None, _place(event))

    def _key(self, event: yaml.Event) -> str:
        if not isinstance(event, yaml.ScalarEvent) or event.anchor is not None:
            mend = "Write the key as plain text, without an anchor, alias or list."
            raise self._fault(event, "A key is not plain text.", mend, "yaml_key")
        if event.value == "<<" and not event.style:
            raise self._fault(event, "Merge keys (`<<`) are not read.", "Write the keys out.", "yaml_key")
        node = self._scalar(event)
        if not isinstance(node.value, str):
            self._collect(event, f"The key {event.value[:60]!r} is not text.", "Put it in quotes.", "yaml_key")
        return str(event.value)

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        self._check_tag(event)
        self._count(event, 1, len(event.value))
        value: object = event.value
        if event.implicit[0] and not event.style:
            value, code = read_scalar(event.value)
            if code:
                self._surprise(event, code)
        return Node(value, _place(event), event.value, event.style or "", 1, len(event.value))

    def _surprise(self, event: yaml.ScalarEvent, code: str) -> None:
        word = event.value[:40]
        if code == TWO_FACED:
            message = f"`{word}` means different things to different YAML readers."
            mend = f'Write "{word}" in quotes if it is text, else the plain number, `true` or `false`.'
        else:
            message = f"`{word}` is no number that JSON can hold."
            mend = "Write a finite number of at most 64 bits, or put it in quotes if it is text."
        self._collect(event, message, mend, code)

    def _check_tag(self, event: yaml.Event) -> None:
        tag = getattr(event, "tag", None)
        if tag is None or (isinstance(event, yaml.ScalarEvent) and tag in _TEXT_TAGS):
            return
        mend = "Take the tag away: a value is what it looks like."
        raise self._fault(event, f"The tag {tag[:60]} is not read.", mend, "yaml_tag")

    def _count(self, event: yaml.Event, nodes: int, characters: int) -> None:
        self._size += nodes
        self._characters += characters
        if self._size > MAX_NODES or self._characters > MAX_CHARACTERS:
            size = f"{MAX_NODES} values or {MAX_CHARACTERS // 1024} KiB of text"
            message = f"With its aliases written out the file holds over {size}."
            raise self._fault(event, message, "Use fewer aliases, or split the file.", "yaml_too_many")

    def _collect(self, event: yaml.Event, message: str, mend: str, code: str) -> None:
        fault = self._fault(event, message, mend, code)
        if len(self.faults) >= MAX_FAULTS:
            raise fault
        self.faults.append(fault)

    def _fault(self, event: yaml.Event, message: str, mend: str, code: str) -> InvalidDocument:
        line, column = _place(event)
        return InvalidDocument(message, file=self.file, line=line, column=column, mend=mend, code=code)


def _place(event: yaml.Event) -> Place:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)

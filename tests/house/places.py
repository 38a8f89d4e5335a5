"""The law of places: no file names a package registry or a folder of the machine it was written on."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.house import laws
from tests.house.tree import Finding, files

HOST = re.compile("|".join(re.escape(host) for host in laws.REGISTRY_HOSTS), re.IGNORECASE)
FOLDER = re.compile(rf"(?<![\w.$*}}-])/(?:{'|'.join(laws.MACHINE_FOLDERS)})/")


def broken(root: Path) -> Iterator[Finding]:
    """Every line of a text file that names such a place; in a lock, every address."""
    for name in files(root):
        content = (root / name).read_bytes()
        if b"\0" in content[:8192]:
            continue
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
            host, folder = HOST.search(line), FOLDER.search(line)
            if host:
                yield Finding(
                    name,
                    number,
                    f"the registry {host[0]} is named",
                    "leave the index to the reader's settings",
                )
            if folder:
                yield Finding(name, number, f"a folder of one machine is named: {folder[0]}", "name it from the root")
            if name.endswith(".lock") and "://" in line:
                yield Finding(name, number, "a lock holds an address", "write it by `make lock`, commit no uv.lock")

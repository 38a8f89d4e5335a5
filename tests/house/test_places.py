"""No registry and no folder of one machine in any file; and the lines that the law must catch."""

from pathlib import Path

import pytest

from tests.house import laws, places
from tests.house.tree import ROOT, files, hold


def test_no_file_names_a_registry_or_a_machine():
    hold(places.broken(ROOT))


def test_the_files_are_read_at_all():
    assert {"pyproject.toml", "requirements.lock", "tests/house/laws.py"} <= set(files(ROOT))


BAD = [(f"see https://{host}/simple\n", f"the registry {host} is named") for host in laws.REGISTRY_HOSTS] + [
    (f'path = "/{folder}/main/x"\n', f"a folder of one machine is named: /{folder}/") for folder in laws.MACHINE_FOLDERS
]


@pytest.mark.parametrize(("text", "what"), BAD, ids=[what for _, what in BAD])
def test_a_place_is_caught(tmp_path: Path, text: str, what: str):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("fine\n" + text)
    (found,) = places.broken(tmp_path)
    assert str(found).startswith(f"docs/a.md:2: {what}")


def test_an_address_in_a_lock_is_caught(tmp_path: Path):
    (tmp_path / "requirements.lock").write_text("a==1 \\\n    --hash=sha256:00\nb @ https://example.org/b.whl\n")
    (found,) = places.broken(tmp_path)
    assert str(found).startswith("requirements.lock:3: a lock holds an address")


def test_paths_of_the_repository_and_addresses_elsewhere_are_let_through(tmp_path: Path):
    (tmp_path / "a.txt").write_text("src/work/x and $HOME/work/x, ./root/y, https://example.org/framework/z\n")
    (tmp_path / "picture.png").write_bytes(b"\0" + laws.REGISTRY_HOSTS[0].encode())
    hold(places.broken(tmp_path))

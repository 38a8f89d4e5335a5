"""A healthy workspace, made once and copied for each test, and the doctor's round over it."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.doctor.ward import Ward, healthy_text
from tests.support.httpd import models_answer, serve
from tests.support.postgres import postgres_server as postgres_server
from tests.support.postgres import postgres_url as postgres_url
from tidegate.app.policies_local import apply_locally
from tidegate.app.workspace.create import create_workspace
from tidegate.app.workspace.options import InitOptions
from tidegate.settings import load_settings


@pytest.fixture(scope="session")
def model_url() -> Iterator[str]:
    """A model server that has the model `tiny-1`."""
    with serve(lambda asked: models_answer("tiny-1")) as url:
        yield f"{url}/v1"


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory, model_url: str) -> Path:
    """A workspace without a fault: made, applied, its database migrated."""
    folder = tmp_path_factory.mktemp("healthy") / "workspace"
    create_workspace(folder, InitOptions(), {})
    text = healthy_text((folder / "tidegate.yaml").read_text(), model_url)
    (folder / "tidegate.yaml").write_text(text)
    asyncio.run(apply_locally(load_settings(folder, {}), text))
    return folder


@pytest.fixture
def ward(healthy: Path, tmp_path: Path) -> Ward:
    """The healthy workspace, this test's own copy."""
    folder = tmp_path / "workspace"
    shutil.copytree(healthy, folder)
    return Ward(folder)

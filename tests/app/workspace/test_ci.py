"""The CI files: what CI systems accept, nothing of a pull request in a shell, and nothing overwritten unasked."""

import json
import re
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any

import jsonschema
import pytest
import yaml

from tests.support.repositories import Workbench
from tidegate.app.workspace.ci import CI_FILES, ci_text, write_ci
from tidegate.kernel.errors import Conflict, NotFound

KEYS = ("OPENAI_API_KEY", "OTHER_KEY")
CONFIG = "models:\n  a:\n    api_key_env: OPENAI_API_KEY  # its key\n  b:\n    api_key_env: null\n"
SCHEMAS = {"github": "github-workflows.json", "gitlab": "gitlab-ci.json"}


def parsed(name: str, within: str = ".") -> dict[str, Any]:
    text = ci_text(name, PurePosixPath(within), KEYS)
    said: dict[str, Any] = yaml.safe_load(text.replace("\non:", '\n"on":'))
    return said


@pytest.mark.parametrize("name", sorted(CI_FILES))
@pytest.mark.parametrize("within", [".", "llm/prompts"])
def test_the_ci_systems_schema_accepts_the_file(name: str, within: str) -> None:
    folder = files("check_jsonschema").joinpath("builtin_schemas", "vendor", SCHEMAS[name])
    schema = json.loads(folder.read_text(encoding="utf-8"))
    jsonschema.validators.validator_for(schema)(schema).validate(parsed(name, within))


@pytest.mark.parametrize("name", sorted(CI_FILES))
def test_no_value_from_outside_stands_in_a_shells_text(name: str) -> None:
    text = ci_text(name, PurePosixPath("."), KEYS)
    assert "$$" not in text
    for job in parsed("github")["jobs"].values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")
            assert re.fullmatch(r"(actions/[a-z/-]+@v\d+)?", step.get("uses", ""))


def test_github_gets_no_more_rights_than_it_needs() -> None:
    said = parsed("github")
    assert said["permissions"] == {"contents": "read"}
    assert said["jobs"]["check"]["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert said["jobs"]["deploy"]["permissions"] == {"contents": "read"}
    (checked,) = [step for step in said["jobs"]["check"]["steps"] if step.get("id") == "check"]
    assert checked["env"]["OPENAI_API_KEY"] == "${{ secrets.OPENAI_API_KEY }}"
    assert "pull_request_target" not in said["on"]


def test_what_is_not_known_is_said_by_itself() -> None:
    for name in CI_FILES:
        assert "3) echo" in ci_text(name, PurePosixPath("."), ())


def test_files_stand_at_the_top_of_the_repository(tmp_path: Path) -> None:
    Workbench(tmp_path).commit("first", {"llm/tidegate.yaml": CONFIG})
    done = write_ci(tmp_path / "llm", "both")
    assert done.written == (".github/workflows/tidegate.yml", ".gitlab-ci.yml")
    assert done.secrets == ("OPENAI_API_KEY",)
    assert "working-directory: llm" in (tmp_path / CI_FILES["github"]).read_text()
    assert write_ci(tmp_path / "llm", "both").kept == done.written


def test_another_file_is_not_overwritten_unasked(tmp_path: Path) -> None:
    (tmp_path / "tidegate.yaml").write_text(CONFIG)
    (tmp_path / ".gitlab-ci.yml").write_text("stages: [mine]\n")
    with pytest.raises(Conflict, match="something else"):
        write_ci(tmp_path, "both")
    assert not (tmp_path / CI_FILES["github"]).exists()
    assert write_ci(tmp_path, "gitlab", force=True).written == (".gitlab-ci.yml",)


def test_a_folder_that_is_no_workspace_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        write_ci(tmp_path, "github")

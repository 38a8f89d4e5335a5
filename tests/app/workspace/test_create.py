"""`tidegate init`: what a new workspace holds, and that nobody's file is ever lost."""

from pathlib import Path

import pygit2
import pytest

from tests.support.httpd import Answer, Asked, models_answer, serve
from tidegate.app.config import check_file, schema_text
from tidegate.app.workspace.create import Created, create_workspace
from tidegate.app.workspace.options import InitOptions
from tidegate.control.policies.model import Config
from tidegate.kernel.errors import Invalid
from tidegate.settings import Settings, load_settings, read_keys

LOCAL = InitOptions()


def create(folder: Path, options: InitOptions = LOCAL, environ: dict[str, str] | None = None) -> Created:
    return create_workspace(folder, options, environ or {})


def config_of(folder: Path) -> Config:
    config, faults = check_file((folder / "tidegate.yaml").read_text(), "tidegate.yaml")
    assert faults == ()
    assert config is not None
    return config


def contents(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file() and ".git/" not in str(file))
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


class TestANewWorkspace:
    def test_has_a_configuration_in_order(self, tmp_path: Path) -> None:
        create(tmp_path / "new")
        config = config_of(tmp_path / "new")
        assert config.routes["chat"].deployment == "smollm2"
        assert config.deployments["smollm2"].base_url == "http://127.0.0.1:8082/v1"
        assert config.deployments["smollm2"].price is not None

    def test_can_be_read_by_the_processes(self, tmp_path: Path) -> None:
        create(tmp_path)
        settings = load_settings(tmp_path, {})
        assert settings.gateway_port == 8080
        keys = read_keys(settings, {})
        assert keys.admin_token.startswith("tgt-")
        assert keys.master_key != keys.admin_token

    def test_explains_every_line_of_its_configuration(self, tmp_path: Path) -> None:
        create(tmp_path)
        lines = (tmp_path / "tidegate.yaml").read_text().splitlines()
        before = ["", *lines]
        bare = [
            line
            for line, above in zip(lines, before, strict=False)
            if line.strip() and "#" not in line and not (line.endswith(":") and ("#" in above or line[0] == " "))
        ]
        assert bare == []

    def test_says_that_its_price_is_an_example(self, tmp_path: Path) -> None:
        create(tmp_path)
        assert "EXAMPLE of an internal price" in (tmp_path / "tidegate.yaml").read_text()

    def test_is_a_repository_with_a_commit_for_each_version_of_the_prompt(self, tmp_path: Path) -> None:
        created = create(tmp_path)
        second = pygit2.Repository(str(tmp_path)).head.peel(pygit2.Commit)
        (first,) = second.parents
        assert created.commits == (str(first.id), str(second.id))
        assert [entry.name for entry in _tree(first, "prompts/support-answer")] == ["v1.0.0.yaml"]
        assert [entry.name for entry in _tree(second, "prompts/support-answer")] == ["v1.0.0.yaml", "v1.1.0.yaml"]
        assert not first.parents

    def test_keeps_its_secrets_out_of_git_and_from_others(self, tmp_path: Path) -> None:
        create(tmp_path)
        settings = Settings(workspace=tmp_path)
        assert settings.key_file.stat().st_mode & 0o777 == 0o600
        assert settings.state_dir.stat().st_mode & 0o777 == 0o700
        repository = pygit2.Repository(str(tmp_path))
        assert not [entry.path for entry in repository.index if entry.path.startswith(".tidegate")]
        assert repository.status() == {}
        keys = read_keys(settings, {})
        for name, content in contents(tmp_path).items():
            if name != ".tidegate/keys.env":
                assert keys.master_key.encode() not in content
                assert keys.admin_token.encode() not in content

    def test_lets_editors_complete_its_configuration(self, tmp_path: Path) -> None:
        create(tmp_path)
        assert (tmp_path / ".tidegate" / "tidegate.schema.json").read_text() == schema_text()
        first = (tmp_path / "tidegate.yaml").read_text().splitlines()[0]
        assert first == "# yaml-language-server: $schema=.tidegate/tidegate.schema.json"

    def test_names_everything_that_it_wrote(self, tmp_path: Path) -> None:
        created = create(tmp_path)
        assert set(contents(tmp_path)) <= set(created.written)
        assert created.kept == ()

    def test_of_two_the_keys_differ(self, tmp_path: Path) -> None:
        create(tmp_path / "a")
        create(tmp_path / "b")
        keys = [read_keys(Settings(workspace=tmp_path / name), {}) for name in "ab"]
        assert keys[0].master_key != keys[1].master_key
        assert keys[0].admin_token != keys[1].admin_token


class TestAgain:
    def test_finds_nothing_to_do(self, tmp_path: Path) -> None:
        create(tmp_path)
        before = contents(tmp_path)
        again = create(tmp_path)
        assert (again.written, again.replaced, again.commits) == ((), {}, ())
        assert "tidegate.yaml" in again.kept
        assert contents(tmp_path) == before

    def test_does_not_bring_back_what_was_deleted_on_purpose(self, tmp_path: Path) -> None:
        create(tmp_path)
        (tmp_path / "prompts" / "support-answer" / "v1.0.0.yaml").unlink()
        (tmp_path / "README.md").unlink()
        assert create(tmp_path).written == ()
        assert not (tmp_path / "README.md").exists()

    def test_in_a_clone_makes_the_keys_that_git_did_not_carry(self, tmp_path: Path) -> None:
        create(tmp_path / "first")
        pygit2.clone_repository(str(tmp_path / "first"), str(tmp_path / "clone"))
        created = create(tmp_path / "clone")
        assert ".tidegate/keys.env" in created.written
        assert "tidegate.yaml" in created.kept
        assert pygit2.Repository(str(tmp_path / "clone")).status() == {}

    def test_completes_a_key_file_and_never_changes_a_key(self, tmp_path: Path) -> None:
        create(tmp_path)
        file = tmp_path / ".tidegate" / "keys.env"
        master = read_keys(Settings(workspace=tmp_path), {}).master_key
        file.write_text(f"# mine\nmaster_key={master}\nother=kept\nadmin_token=short\n")
        file.chmod(0o644)
        created = create(tmp_path)
        assert read_keys(Settings(workspace=tmp_path), {}).master_key == master
        assert len(read_keys(Settings(workspace=tmp_path), {}).admin_token) >= 32
        assert file.read_text().startswith("# mine\n")
        assert "other=kept" in file.read_text()
        assert "short" not in file.read_text()
        assert file.stat().st_mode & 0o777 == 0o600
        assert "admin_token made" in " ".join(created.notes)

    def test_makes_the_repository_that_is_gone_of_what_is_there(self, tmp_path: Path) -> None:
        create(tmp_path)
        (tmp_path / ".git").rename(tmp_path.parent / "git-elsewhere")
        (tmp_path / "prompts" / "mine.txt").write_text("mine")
        (commit,) = create(tmp_path).commits
        repository = pygit2.Repository(str(tmp_path))
        assert str(repository.head.target) == commit
        assert "prompts/mine.txt" in repository.index
        assert ".tidegate/keys.env" not in repository.index


class TestWhatIsThereAlready:
    def test_is_kept_and_named(self, tmp_path: Path) -> None:
        (tmp_path / "README.md").write_text("mine")
        created = create(tmp_path)
        assert (tmp_path / "README.md").read_text() == "mine"
        assert created.kept == ("README.md",)

    def test_with_force_is_replaced_and_its_old_text_kept_beside_it(self, tmp_path: Path) -> None:
        create(tmp_path)
        (tmp_path / "README.md").write_text("first change")
        create(tmp_path, InitOptions(force=True))
        (tmp_path / "README.md").write_text("second change")
        created = create(tmp_path, InitOptions(force=True))
        assert created.replaced == {"README.md": "README.md.old2"}
        assert (tmp_path / "README.md.old").read_text() == "first change"
        assert (tmp_path / "README.md.old2").read_text() == "second change"
        assert (tmp_path / "README.md").read_text().startswith("# A Tidegate workspace")

    def test_with_force_the_keys_stay(self, tmp_path: Path) -> None:
        create(tmp_path)
        before = (tmp_path / ".tidegate" / "keys.env").read_bytes()
        create(tmp_path, InitOptions(force=True))
        assert (tmp_path / ".tidegate" / "keys.env").read_bytes() == before

    def test_a_gitignore_gets_the_line_that_it_lacks(self, tmp_path: Path) -> None:
        (tmp_path / ".gitignore").write_text("*.log")
        create(tmp_path)
        lines = (tmp_path / ".gitignore").read_text().splitlines()
        assert lines[0] == "*.log"
        assert ".tidegate/" in lines
        create(tmp_path)
        assert (tmp_path / ".gitignore").read_text().splitlines() == lines

    def test_a_repository_is_left_to_its_owner(self, tmp_path: Path) -> None:
        pygit2.init_repository(str(tmp_path))
        created = create(tmp_path)
        assert created.commits == ()
        assert "commit the new files" in created.notes[0]
        assert pygit2.Repository(str(tmp_path)).head_is_unborn

    def test_a_file_in_place_of_the_folder_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("mine")
        with pytest.raises(Invalid, match="is a file"):
            create(tmp_path / "file")

    def test_a_place_that_cannot_be_written_is_refused(self) -> None:
        with pytest.raises(Invalid, match="cannot be written") as caught:
            create(Path("/proc/tidegate"))
        assert caught.value.code == "folder_unwritable"


class TestABareWorkspace:
    def test_has_only_what_serving_needs(self, tmp_path: Path) -> None:
        created = create(tmp_path, InitOptions(bare=True))
        assert created.commits == ()
        assert sorted(contents(tmp_path)) == [
            ".gitignore", ".tidegate/keys.env", ".tidegate/tidegate.schema.json", "tidegate.yaml",
        ]  # fmt: skip
        assert not (tmp_path / ".git").exists()
        assert config_of(tmp_path).routes

    def test_stays_bare_the_next_time(self, tmp_path: Path) -> None:
        create(tmp_path, InitOptions(bare=True))
        assert create(tmp_path).commits == ()


class TestAnotherModel:
    def test_is_written_into_the_configuration(self, tmp_path: Path) -> None:
        options = InitOptions(
            model_url="https://api.openai.com/v1", model_name="gpt-4o-mini", api_key_env="OPENAI_API_KEY"
        )
        create(tmp_path, options)
        config = config_of(tmp_path)
        one = config.deployments["gpt-4o-mini"]
        assert (one.base_url, one.upstream_model) == ("https://api.openai.com/v1", "gpt-4o-mini")
        assert one.api_key_env == "OPENAI_API_KEY"
        assert config.auto_priced == ("gpt-4o-mini",)
        assert config.routes["chat"].deployment == "gpt-4o-mini"

    @pytest.mark.parametrize(
        ("model", "key"),
        [
            ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b-instruct"),
            ("llama3:8b", "llama3-8b"),
            ("a" * 90, "a" * 64),
            ("模型", "model"),
            ("x..y", "x.y"),
            ('odd "name": {', "odd-name"),
        ],
    )
    def test_gets_a_name_that_can_be_one(self, tmp_path: Path, model: str, key: str) -> None:
        create(tmp_path, InitOptions(model_url="http://127.0.0.1:1/v1", model_name=model))
        assert config_of(tmp_path).deployments[key].upstream_model == model

    def test_is_asked_for_its_name_and_given_its_key(self, tmp_path: Path) -> None:
        seen: list[Asked] = []

        def answer(asked: Asked) -> Answer:
            seen.append(asked)
            return models_answer("tiny-1")

        with serve(answer) as url:
            create(tmp_path, InitOptions(model_url=f"{url}/v1", api_key_env="KEY"), {"KEY": "k-1"})
        assert config_of(tmp_path).deployments["tiny-1"].upstream_model == "tiny-1"
        assert seen[0].headers["authorization"] == "Bearer k-1"

    def test_of_several_must_be_chosen(self, tmp_path: Path) -> None:
        with (
            serve(lambda asked: models_answer("a", "b")) as url,
            pytest.raises(Invalid, match="2 models: a, b") as caught,
        ):
            create(tmp_path / "new", InitOptions(model_url=f"{url}/v1"))
        assert "--model-name" in caught.value.mend
        assert not (tmp_path / "new").exists()

    def test_that_does_not_answer_must_be_named(self, tmp_path: Path) -> None:
        with pytest.raises(Invalid, match="does not say which model"):
            create(tmp_path, InitOptions(model_url="http://127.0.0.1:1/v1"))

    def test_at_an_address_without_a_path_is_taken_at_v1_and_that_is_said(self, tmp_path: Path) -> None:
        created = create(tmp_path, InitOptions(model_url="http://127.0.0.1:11434", model_name="llama3"))
        assert config_of(tmp_path).deployments["llama3"].base_url == "http://127.0.0.1:11434/v1"
        assert "/v1" in created.notes[0]

    @pytest.mark.parametrize(
        ("options", "named"),
        [
            (InitOptions(model_url="http://169.254.169.254/v1", model_name="x"), "link-local"),
            (InitOptions(model_url="localhost:1234", model_name="x"), "http"),
            (InitOptions(model_url="http://h/v1", model_name="x", api_key_env="not a name"), "variable"),
            (InitOptions(model_url="http://h/v1", model_name="x", api_key_env="sk-abcdefghijklmnopqrst"), "secret"),
            (InitOptions(model_name="x"), "--model-name"),
            (InitOptions(api_key_env="KEY"), "--api-key-env"),
        ],
    )
    def test_that_makes_no_sense_writes_nothing(self, tmp_path: Path, options: InitOptions, named: str) -> None:
        with pytest.raises(Invalid, match=named) as caught:
            create(tmp_path / "new", options)
        assert "abcdefghijklmnopqrst" not in str(caught.value)
        assert not (tmp_path / "new").exists()


def _tree(commit: pygit2.Commit, path: str) -> pygit2.Tree:
    tree = commit.tree[path]
    assert isinstance(tree, pygit2.Tree)
    return tree

"""The whole file: both halves checked together, and the schema that editors complete it by."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.control.policies.configs import MINIMAL, with_model
from tests.control.policies.test_model import FAULTS
from tidegate.app.config import check_file, file_schema, schema_text
from tidegate.settings import Settings

PUBLISHED = Path(__file__).parents[2] / "docs" / "reference" / "tidegate.schema.json"


def codes(text: str) -> list[str]:
    config, faults = check_file(text, "tidegate.yaml")
    assert (config is None) == bool(faults)
    return [fault.code for fault in faults]


class TestTheServerBlock:
    def test_may_hold_every_setting(self) -> None:
        values = {name: getattr(Settings(workspace=Path()), name) for name in Settings.__struct_fields__}
        del values["workspace"]
        assert codes(MINIMAL + f"server: {json.dumps(values)}\n") == []

    @pytest.mark.parametrize(
        ("block", "code"),
        [
            ("{gateway_prt: 1}", "unknown_field"),
            ("{workspace: /tmp}", "unknown_field"),
            ("{gateway_port: 0}", "bad_port"),
            ("{control_port: 65536}", "bad_port"),
            ("{model_port: many}", "wrong_type"),
            ("{gateways: 0}", "bad_gateways"),
            ("{log_level: loud}", "bad_log_level"),
            ("{database_url: mysql://h/d}", "bad_database_url"),
            ("{database_url: 'postgresql://u:secret1@h/d'}", "literal_secret"),
        ],
    )
    def test_faults_are_found_with_their_line(self, block: str, code: str) -> None:
        _, (fault,) = check_file(f"{MINIMAL}server: {block}\n", "tidegate.yaml")
        assert (fault.code, fault.line) == (code, 9)

    def test_faults_stand_among_the_others_by_line(self) -> None:
        text = "server: {gateway_prt: 1}\n" + MINIMAL.replace("openai", "opnai")
        assert codes(text) == ["unknown_field", "unknown_provider"]


class TestTheSchema:
    def test_is_published_as_it_is(self) -> None:
        assert PUBLISHED.read_text(encoding="utf-8") == schema_text(), (
            "write it anew: tidegate config schema > docs/reference/tidegate.schema.json"
        )

    def test_is_a_schema(self) -> None:
        jsonschema.Draft202012Validator.check_schema(file_schema())

    @pytest.mark.parametrize(
        "text", [MINIMAL, with_model("price: auto"), MINIMAL + "server: {gateway_port: 9000, database_url: ''}\n"]
    )
    def test_accepts_what_we_accept(self, text: str) -> None:
        assert codes(text) == []
        jsonschema.validate(yaml.safe_load(text), file_schema())

    @pytest.mark.parametrize(
        ("code", "text"),
        [(code, text) for code, text, *_ in FAULTS if code in ("unknown_field", "missing_field", "wrong_type")],
    )
    def test_refuses_faults_of_form_as_we_do(self, code: str, text: str) -> None:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(yaml.safe_load(text), file_schema())

    def test_explains_every_field(self) -> None:
        blocks = file_schema()["$defs"]
        assert isinstance(blocks, dict)
        silent = [
            f"{name}.{field}"
            for name, block in blocks.items()
            for field, schema in block["properties"].items()
            if "description" not in json.dumps(schema)
        ]
        assert silent == []

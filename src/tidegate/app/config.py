"""The whole of `tidegate.yaml`: what control applies and what the processes read (`server`), together."""

from typing import Annotated, Any

import msgspec

from tidegate.control.policies.model import Config, check_config, config_schema
from tidegate.control.policies.reading import Complaint, Complaints, check_shape
from tidegate.kernel.documents import check_yaml
from tidegate.kernel.errors import InvalidDocument
from tidegate.settings import Settings

__all__ = ["SCHEMA_NAME", "check_file", "file_schema", "schema_text"]

SCHEMA_NAME = "tidegate.schema.json"
_LEVELS = ("debug", "info", "warning", "error")

_MEANINGS = {
    "database_url": "postgresql://HOST/NAME, its password elsewhere. Empty: SQLite in the workspace.",
    "redis_url": "redis://HOST:6379/0, where limits and budgets are counted then. Empty: beside the database.",
    "control_host": "Where control listens.",
    "control_port": "Its port.",
    "control_tls_cert": "Its certificate chain in PEM, in the workspace or by absolute path. Empty: no TLS.",
    "control_tls_key": "The certificate's private key in PEM. Both files are read anew when they change.",
    "control_ca_file": "Whom commands trust to vouch for control, in PEM. Empty: the authorities of this machine.",
    "gateway_host": "Where the gateway listens.",
    "gateway_port": "Its port.",
    "gateway_tls_cert": "Its certificate chain in PEM, in the workspace or by absolute path. Empty: no TLS.",
    "gateway_tls_key": "The certificate's private key in PEM. Both files are read anew when they change.",
    "gateways": "How many gateway processes share the port.",
    "transport": "The gateway's HTTP server.",
    "model_port": "Where the local model listens, on loopback.",
    "log_level": "debug, info, warning or error.",
}


def _field(field: msgspec.structs.FieldInfo) -> tuple[str, Any, Any]:
    meaning = msgspec.Meta(description=_MEANINGS.get(field.name, field.name))
    return field.name, Annotated[field.type, meaning], field.default


ServerBlock = msgspec.defstruct(
    "ServerBlock",
    [_field(field) for field in msgspec.structs.fields(Settings) if field.name != "workspace"],
    kw_only=True,
    frozen=True,
    forbid_unknown_fields=True,
)
"""The `server` block: the fields of Settings that may stand in the file."""


def check_file(text: str, file: str) -> tuple[Config | None, tuple[InvalidDocument, ...]]:
    """Return the Config, or None and every fault of the file, those of its `server` block too."""
    config, faults = check_config(text, file)
    document, _ = check_yaml(text, file)
    if document is not None and isinstance(document.value, dict) and document.value.get("server") is not None:
        faults += tuple(check_shape(document, ServerBlock, _COMPLAINTS, path=("server",)))
    faults = tuple(sorted(faults, key=lambda fault: (fault.line or 0, fault.column or 0)))
    return (None if faults else config), faults


def file_schema() -> dict[str, object]:
    """The JSON Schema (2020-12) of the file, for editors and other tools."""
    schema = config_schema()
    (shapes, components) = msgspec.json.schema_components([ServerBlock], ref_template="#/$defs/{name}")
    assert isinstance(schema["$defs"], dict)
    schema["$defs"].update(components)
    described = schema["$defs"]["ConfigFile"]["properties"]["server"]
    schema["$defs"]["ConfigFile"]["properties"]["server"] = {
        **shapes[0],
        "description": described["description"],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tidegate.yaml",
        "description": "Models, routes, environments and limits of a Tidegate workspace.",
        **schema,
    }


def schema_text() -> str:
    """The schema as it is published: JSON, two blanks deep, one line end at the end."""
    return msgspec.json.format(msgspec.json.encode(file_schema(), order="sorted"), indent=2).decode() + "\n"


def _port(value: int) -> Complaint | None:
    if 1 <= value <= 65535:
        return None
    return Complaint("bad_port", f"is {value}, which is no port", "Use 1 to 65535.")


def _database_url(value: str) -> Complaint | None:
    if not value or value.startswith(("postgresql://", "postgres://")):
        return None
    mend = "Write postgresql://HOST/NAME, or leave it out for SQLite in the workspace."
    return Complaint("bad_database_url", "is no database that is known", mend)


def _redis_url(value: str) -> Complaint | None:
    if not value or value.startswith(("redis://", "rediss://", "unix://")):
        return None
    return Complaint("bad_redis_url", "is no Redis that is known", "Write redis://HOST:6379/0, or leave it out.")


def _level(value: str) -> Complaint | None:
    if value in _LEVELS:
        return None
    return Complaint("bad_log_level", f"is {value!r}", f"Use one of: {', '.join(_LEVELS)}.")


def _gateways(value: int) -> Complaint | None:
    return None if 1 <= value <= 256 else Complaint("bad_gateways", f"is {value}", "Use 1 to 256.")


_COMPLAINTS: Complaints = {
    (ServerBlock, "control_port"): _port,
    (ServerBlock, "gateway_port"): _port,
    (ServerBlock, "model_port"): _port,
    (ServerBlock, "database_url"): _database_url,
    (ServerBlock, "redis_url"): _redis_url,
    (ServerBlock, "log_level"): _level,
    (ServerBlock, "gateways"): _gateways,
}

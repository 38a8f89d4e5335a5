"""One frozen Settings, read once at a process's start from the workspace and the environment, then handed down.

A setting is named twice: `gateway_port` here and in the file's `server:` block, `TIDEGATE_GATEWAY_PORT` in the
environment. The environment wins. What the platform *does* (models, routes, policies) is not here: that is
`tidegate.yaml`, applied by control.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from tidegate.kernel.documents import check_yaml, decode_text
from tidegate.kernel.errors import Invalid, NotFound

__all__ = ["CONFIG_NAME", "Keys", "Settings", "find_workspace", "load_settings", "read_key", "read_keys"]

CONFIG_NAME = "tidegate.yaml"
STATE_NAME = ".tidegate"
PREFIX = "TIDEGATE_"
SHORTEST_KEY = 32
FEWEST_LETTERS = 8


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Where this process lives and listens. Every field has a default that works on a laptop."""

    workspace: Path
    database_url: str = ""
    redis_url: str = ""
    control_host: str = "127.0.0.1"
    control_port: int = 8081
    control_tls_cert: str = ""
    control_tls_key: str = ""
    control_ca_file: str = ""
    gateway_host: str = "127.0.0.1"
    gateway_port: int = 8080
    gateway_tls_cert: str = ""
    gateway_tls_key: str = ""
    gateways: int = 1
    transport: str = "raw"
    model_port: int = 8082
    log_level: str = "info"

    @property
    def state_dir(self) -> Path:
        """The workspace's private folder: databases, key file, sockets, logs. Ignored by Git."""
        return self.workspace / STATE_NAME

    @property
    def config_file(self) -> Path:
        return self.workspace / CONFIG_NAME

    @property
    def key_file(self) -> Path:
        return self.state_dir / "keys.env"

    @property
    def control_db_file(self) -> Path:
        return self.state_dir / "control.db"

    @property
    def calls_db_file(self) -> Path:
        return self.state_dir / "calls.db"

    @property
    def counters_db_file(self) -> Path:
        """The shared counters of limits and budgets, where neither Redis nor PostgreSQL keeps them."""
        return self.state_dir / "counters.db"

    @property
    def contents_db_file(self) -> Path:
        """What was said in the calls of routes that keep some, sealed; made when the first is kept."""
        return self.state_dir / "contents.db"

    @property
    def snapshot_file(self) -> Path:
        """The last Snapshot a gateway saw, kept for a start while the database is away."""
        return self.state_dir / "snapshot.json"

    @property
    def run_dir(self) -> Path:
        """Process ids and the gateways' metrics."""
        return self.state_dir / "run"

    @property
    def log_dir(self) -> Path:
        return self.state_dir / "logs"

    @property
    def is_postgres(self) -> bool:
        return self.database_url.startswith(("postgresql://", "postgres://"))

    @property
    def control_url(self) -> str:
        return f"{'https' if self.control_tls else 'http'}://{self.control_host}:{self.control_port}"

    @property
    def control_tls(self) -> bool:
        """Whether control speaks TLS."""
        return bool(self.control_tls_cert or self.control_tls_key)

    @property
    def gateway_tls(self) -> bool:
        """Whether the gateway speaks TLS."""
        return bool(self.gateway_tls_cert or self.gateway_tls_key)

    @property
    def gateway_url(self) -> str:
        return f"{'https' if self.gateway_tls else 'http'}://{self.gateway_host}:{self.gateway_port}"


class Keys(msgspec.Struct, frozen=True):
    """The workspace's secrets, from the 0600 key file or the environment."""

    master_key: str
    admin_token: str


def find_workspace(start: Path) -> Path:
    """Return the nearest folder, from `start` upwards, that holds a tidegate.yaml; raises NotFound."""
    for folder in (start, *start.parents):
        if (folder / CONFIG_NAME).is_file():
            return folder
    raise NotFound(
        "workspace",
        str(start),
        mend=f"Run `tidegate init DIR`, or go into a folder with a {CONFIG_NAME}, or pass --workspace.",
    )


def load_settings(workspace: Path, environ: Mapping[str, str]) -> Settings:
    """Read the file's `server:` block, then the environment; raises InvalidDocument or Invalid naming the setting."""
    values: dict[str, object] = {"workspace": workspace.resolve(), **_server_block(workspace / CONFIG_NAME)}
    for name in Settings.__struct_fields__:
        text = environ.get(PREFIX + name.upper())
        if text is not None and name != "workspace":
            values[name] = text
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(
            f"A setting is wrong: {error}.",
            mend=f"Mend `server:` in {CONFIG_NAME}, or the {PREFIX}* variable.",
            code="invalid_setting",
        ) from error


def read_keys(settings: Settings, environ: Mapping[str, str]) -> Keys:
    """Both secrets, as `read_key` finds each; raises Invalid when either is missing or weak."""
    return Keys(**{name: read_key(settings, environ, name) for name in Keys.__struct_fields__})


def read_key(settings: Settings, environ: Mapping[str, str], name: str) -> str:
    """`master_key` or `admin_token`: from TIDEGATE_MASTER_KEY or TIDEGATE_ADMIN_TOKEN, else from the key file; raises
    Invalid when it is missing or weak. A process that needs one of them need not be given the other.
    """
    value = environ.get(PREFIX + name.upper())
    if value is None:
        value = _key_file(settings.key_file).get(name, "")
    if len(value) < SHORTEST_KEY or len(set(value)) < FEWEST_LETTERS:
        raise Invalid(
            f"The workspace's {name} is missing or shorter than {SHORTEST_KEY} characters, or easy to guess: it has "
            f"fewer than {FEWEST_LETTERS} different ones.",
            mend=f"Take its line, if there is one, out of {settings.key_file.name} and run `tidegate init` once more; "
            f"or set {PREFIX}{name.upper()}: `openssl rand -hex 32` makes one.",
            code="key_file",
        )
    return value


def _key_file(file: Path) -> dict[str, str]:
    values: dict[str, str] = {}
    if file.is_file():
        for line in file.read_text().splitlines():
            name, separator, value = line.partition("=")
            if separator and not name.lstrip().startswith("#"):
                values[name.strip()] = value.strip()
    return values


def _server_block(file: Path) -> dict[str, object]:
    if not file.is_file():
        return {}
    document, faults = check_yaml(decode_text(file.read_bytes(), file.name), file.name)
    if document is None:
        raise faults[-1]
    value = document.value
    block = value.get("server") if isinstance(value, dict) else None
    if not isinstance(block, dict):
        return {}
    unknown = sorted(set(block) - set(Settings.__struct_fields__) | ({"workspace"} & set(block)))
    if unknown:
        raise Invalid(
            f"`server:` in {file.name} has unknown settings: {', '.join(map(str, unknown))}.",
            mend=f"Known: {', '.join(name for name in Settings.__struct_fields__ if name != 'workspace')}.",
            code="invalid_setting",
        )
    return dict(block)

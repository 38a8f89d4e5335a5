"""The laws as data. Changing the house is changing this file, in a review, and `docs/map.md` beside it."""

from types import MappingProxyType
from typing import NamedTuple


class Row(NamedTuple):
    """What a room may import: places of Tidegate (`*` stands for one name) and third parties.

    Itself, the standard library and `EVERYWHERE` are always allowed.
    """

    may: tuple[str, ...] = ()
    third: tuple[str, ...] = ()


# ---------------------------------------------------------------------------------------------------- imports

PACKAGE = "tidegate"
EVERYWHERE = ("msgspec",)
NOWHERE = ("sqlalchemy.orm",)  # Core only: SQL stays in sight

SLICES = (
    "identity", "policies", "prompts", "releases", "spend", "monitoring", "evals", "gates", "experiments", "rollouts",
    "models", "incidents", "compliance", "planner",
)  # fmt: skip
"""The slices of control in their order: each may import the ones before it."""

ROOMS = MappingProxyType(
    {
        ".": Row(("client",)),  # tidegate/__init__.py
        "__main__": Row(("doors/cli/main",)),
        "kernel": Row((), ("yaml",)),
        "templates": Row(("kernel",), ("jinja2", "jsonschema_rs")),
        "stats": Row((), ("numpy", "scipy")),
        "live": Row(("kernel", "templates")),
        "jobs": Row(("kernel",), ("sqlalchemy",)),
        "settings": Row(("kernel",), ("yaml",)),
        "control": Row(("kernel", "templates", "stats", "live", "jobs")),
        "gateway": Row(("kernel", "templates", "live"), ("httptools", "uvloop")),
        "client": Row(("kernel", "templates", "live")),
        "adapters": Row(("kernel", "live", "jobs", "gateway/ports", "control/*/ports")),
        "app": Row(
            (
                "kernel",
                "templates",
                "stats",
                "live",
                "jobs",
                "settings",
                "control",
                "gateway",
                "client",
                "adapters",
            ),
            ("alembic", "httptools", "prometheus_client", "psutil", "sqlalchemy", "uvicorn", "uvloop"),
        ),
        "doors": Row(
            ("app", "kernel", "settings", "stats", "control/*/model", "control/*/*/model", "control/*/reports")
        ),
    }
)

STAGE = Row(("kernel", "live", "gateway/call", "gateway/ports"))
STAGES = MappingProxyType(
    {
        "record": Row(  # where an error becomes a reply
            (*STAGE.may, "gateway/anthropic_errors", "gateway/bounds", "gateway/openai_errors")
        ),
        "admit": Row((*STAGE.may, "gateway/bounds")),  # how much a call can cost, pure
        "passthrough": Row((*STAGE.may, "gateway/events", "gateway/passthrough", "gateway/routing")),
        "resolve": Row((*STAGE.may, "templates")),  # renders the prompt
        "send": Row(
            (*STAGE.may, "gateway/events", "gateway/routing", "gateway/providers/base", "gateway/dialects/base")
        ),
    }
)
"""The row of a stage, and of the stages that may more."""

ADAPTERS = MappingProxyType(
    {
        "git": Row((), ("pygit2",)),
        "http": Row((), ("httptools", "httpx", "uvloop")),
        "xllamacpp": Row((), ("xllamacpp",)),
        "memory": Row(),
        "metrics": Row((), ("prometheus_client",)),
        "notifiers": Row((), ("httpx",)),
        "otel": Row((), ("opentelemetry",)),
        "postgres": Row(("adapters/sql",), ("alembic", "asyncpg", "sqlalchemy")),
        "prices": Row((), ("genai_prices",)),
        "processes": Row((), ("psutil",)),
        "redis": Row((), ("redis",)),
        "sql": Row((), ("alembic", "sqlalchemy")),  # what the two dialects share
        "sqlite": Row(("adapters/sql",), ("aiosqlite", "alembic", "sqlalchemy")),
        "vault": Row((), ("cryptography",)),
    }
)
"""The one library that each adapter adapts, on top of the row `adapters`."""

DOORS = MappingProxyType(
    {
        "cli": Row((), ("click", "httpx", "rich", "typer")),
        "http": Row((), ("httptools", "litestar", "prometheus_client", "uvicorn", "uvloop")),
        "mcp": Row((), ("mcp",)),
        "web": Row((), ("jinja2", "litestar")),
    }
)
"""What each door speaks with, on top of the row `doors`. No door imports another."""

FILES = MappingProxyType(
    {
        "control/*/store": Row((), ("sqlalchemy",)),
        "control/*/*/store": Row((), ("sqlalchemy",)),
        "control/evals/comparing": Row((), ("numpy", "scipy")),
        "control/experiments": Row((), ("numpy", "scipy")),  # many runs at a time, the same code as for one
        "control/gates": Row((), ("numpy",)),
        "control/rollouts/observing": Row((), ("numpy",)),
        "control/rollouts/simulations": Row((), ("numpy",)),
        "gateway/providers/vertex/tokens": Row((), ("cryptography",)),  # RS256 of a service account's token
    }
)
"""What single files of a room may more."""

OPTIONAL = MappingProxyType(
    {"openai": ("app", "doors/cli"), "pyarrow": ("doors/cli",), "xllamacpp": ("adapters/xllamacpp", "app")}
)
"""Optional extras: only these rooms, and only inside a function, marked `# optional extra`."""

PURE = (
    "kernel", "stats", "templates", "live", "control/*/model", "control/*/*/model", "control/*/reports",
    "control/gates",
)  # fmt: skip
"""Places that take values and return values: no I/O, no processes, no event loop."""

IO = (
    "asyncio", "ftplib", "http", "multiprocessing", "os", "requests", "selectors", "shutil", "smtplib",
    "socket", "socketserver", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "urllib",
)  # fmt: skip
IO_ALLOWED = MappingProxyType({"kernel/ids": ("os.urandom",), "*": ("urllib.parse",)})
IO_CALLS = ("input", "open", "print")

GATEWAY_PROCESS = f"{PACKAGE}.app.gateway"
NOT_IN_GATEWAY_PROCESS = ("scipy", "litestar", "sqlalchemy", f"{PACKAGE}.control")
"""What importing the gateway process must not bring in."""

# -------------------------------------------------------------------------------------------- sizes and names

FILE_LINES = 500
FILE_LINES_NOTED = 300
FUNCTION_LINES = 60
PARAMETERS = 6

LAZY_MARKS = (r"# optional extra\b", r"# lazy: \S")
CLASS_SUFFIXES = ("Manager", "Helper", "Helpers", "Util", "Utils", "Data")
MODULE_NAMES = ("common", "helper", "helpers", "misc", "util", "utils", "v2")

# ----------------------------------------------------------------------------------------------------- places

_DOT = "."
REGISTRY_HOSTS = (
    _DOT.join(("pypi", "org")),
    _DOT.join(("pythonhosted", "org")),
    _DOT.join(("npmjs", "org")),
    _DOT.join(("npmjs", "com")),
    _DOT.join(("yarnpkg", "com")),
    _DOT.join(("anaconda", "org")),
    _DOT.join(("jsdelivr", "net")),
    _DOT.join(("unpkg", "com")),
)
"""Joined from parts, so that this file names none. By the last two a page would load code from afar."""

MACHINE_FOLDERS = ("work", "root", "farm")
"""First parts of absolute paths that exist on one machine only."""

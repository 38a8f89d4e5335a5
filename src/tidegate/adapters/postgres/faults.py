"""PostgreSQL's SQLSTATE codes as errors that a person can act on."""

from sqlalchemy.exc import DBAPIError

from tidegate.kernel.errors import Unavailable

__all__ = ["away", "postgres_fault"]

_AWAY = "Check that PostgreSQL runs and that database_url is right; Tidegate tries again by itself."
_LOCKED = "Try again; if it stays so, look for a long transaction in pg_stat_activity."
_BROKEN = "Look into PostgreSQL's log; `tidegate restore` the last backup if its disk is damaged."

# The longest prefix of the SQLSTATE that is found here decides: (code, what is wrong, mend).
_FAULTS = {
    "08": ("database_away", "broke the connection", _AWAY),
    "57P": ("database_away", "is shutting down or starting", _AWAY),
    "53100": (
        "disk_full",
        "has no room to grow: its disk is full",
        "Free disk space there; nothing was half-written.",
    ),
    "53": (
        "database_busy",
        "is out of connections or memory",
        "Raise max_connections, or run fewer processes.",
    ),
    "55P03": ("database_locked", "is locked by another transaction", _LOCKED),
    "57014": ("database_busy", "cancelled a statement that took too long", _LOCKED),
    "40": ("database_locked", "undid this transaction in favour of another one", _LOCKED),
    "25006": ("database_readonly", "takes no writes: it is a standby", "Point database_url at the primary."),
    "28": (
        "database_refused",
        "refuses this user",
        "Check user and password in database_url, and pg_hba.conf.",
    ),
    "3D000": ("database_gone", "does not exist", "Create it (`createdb NAME`), then run `tidegate migrate`."),
    "42501": ("database_refused", "denies a right", "Make the user of database_url the owner of its tables."),
    "42P01": ("database_not_migrated", "lacks a table", "Run `tidegate migrate`."),
    "42703": ("database_not_migrated", "lacks a column", "Run `tidegate migrate`."),
    "58": ("database_io", "cannot read or write its disk", _BROKEN),
    "XX001": ("database_corrupt", "has a damaged page", _BROKEN),
    "XX002": ("database_corrupt", "has a damaged index", _BROKEN),
}


def away(name: str, cause: BaseException) -> Unavailable:
    """The error for a server that does not answer."""
    return _unavailable(name, _FAULTS["08"], cause)


def postgres_fault(name: str, error: BaseException) -> Unavailable | None:
    """The Unavailable that this error means; None when not the store but the statement is wrong."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return away(name, error.orig or error)
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(cause, "sqlstate", None) or ""
    for length in range(len(state), 1, -1):
        if state[:length] in _FAULTS:
            return _unavailable(name, _FAULTS[state[:length]], cause)
    return None


def _unavailable(name: str, fault: tuple[str, str, str], cause: BaseException | None) -> Unavailable:
    code, what, mend = fault
    detail = str(cause).strip().partition("\n")[0]
    detail = detail.rpartition(">: ")[2]
    return Unavailable(f"The database {name} {what}{f' ({detail})' if detail else ''}.", mend=mend, code=code)

"""What `tidegate login` remembers: servers and tokens, in a file that only its owner can read."""

import os
from pathlib import Path

import msgspec

from tidegate.kernel.errors import Invalid, Unauthenticated

__all__ = ["Login", "Logins", "logins_file", "read_logins", "write_login"]


class Login(msgspec.Struct, frozen=True):
    """A control plane's address, a token for it, and the file of the authorities that vouch for it, if it names one."""

    server: str
    token: str
    ca_file: str | None = None


class Logins(msgspec.Struct, frozen=True):
    """Every remembered login, the newest last."""

    logins: tuple[Login, ...] = ()

    def newest(self) -> Login | None:
        """The login that is meant when no server is named."""
        return self.logins[-1] if self.logins else None

    def of(self, server: str) -> Login | None:
        """The login at this server, if there is one."""
        return next((login for login in self.logins if login.server == server.rstrip("/")), None)

    def token(self, server: str) -> str:
        """The token for this server; raises Unauthenticated when there is none."""
        login = self.of(server)
        if login is not None:
            return login.token
        raise Unauthenticated(
            f"There is no token for {server}.",
            mend=f"Run `tidegate login --server {server}`, or set TIDEGATE_TOKEN.",
            code="token_missing",
        )


def logins_file() -> Path:
    """Where logins are kept: under XDG_CONFIG_HOME, else under ~/.config."""
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "tidegate" / "logins.json"


def read_logins() -> Logins:
    """What is remembered; raises Invalid when the file is damaged, or others could read it."""
    file = logins_file()
    try:
        mode = file.stat().st_mode
        content = file.read_bytes()
    except FileNotFoundError:
        return Logins()
    if mode & 0o077:
        raise Invalid(f"{file} can be read by others.", mend=f"Run `chmod 600 {file}`.", code="login_file")
    try:
        return msgspec.json.decode(content, type=Logins)
    except msgspec.DecodeError as error:
        raise Invalid(f"{file} is damaged: {error}.", mend="Remove it and log in again.", code="login_file") from error


def write_login(login: Login) -> Path:
    """Remember a login (0600) as the newest one; one of the same server is replaced. Returns the file."""
    kept = [one for one in read_logins().logins if one.server != login.server]
    file = logins_file()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = file.with_suffix(f".{os.getpid()}.draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(msgspec.json.format(msgspec.json.encode(Logins((*kept, login)))))
    draft.replace(file)
    return file

"""Certificates of a certificate authority of the test's own, made by the `openssl` command."""

import subprocess
from pathlib import Path

__all__ = ["Authority"]

EXTENSIONS = "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n"


class Authority:
    """Issues certificates for this machine; `ca` is the file that its clients trust."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self.ca, self._key = folder / "ca.pem", folder / "ca.key"
        _openssl(
            "req", "-x509", *_new_key(self._key), "-days", "2", "-subj", "/CN=Tests", "-out", str(self.ca),
            "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )  # fmt: skip

    def issue(self, name: str, *, days: int = 2) -> tuple[Path, Path]:
        """A certificate of that common name and its key, in files of that name."""
        cert, key, asked, more = (self._folder / f"{name}.{end}" for end in ("pem", "key", "csr", "ext"))
        more.write_text(EXTENSIONS)
        _openssl("req", *_new_key(key), "-subj", f"/CN={name}", "-out", str(asked))
        _openssl(
            "x509", "-req", "-in", str(asked), "-CA", str(self.ca), "-CAkey", str(self._key), "-CAcreateserial",
            "-days", str(days), "-extfile", str(more), "-out", str(cert),
        )  # fmt: skip
        return cert, key


def _new_key(file: Path) -> tuple[str, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(file))


def _openssl(*words: str) -> None:
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

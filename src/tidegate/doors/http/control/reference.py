"""The page `docs/reference/http-api.md`, made from the table: run this module to print it."""

import sys

from tidegate.control.identity.model import ROLE_RIGHTS, ROLES
from tidegate.doors.http.control.application import MAX_BODY_BYTES
from tidegate.doors.http.control.errors import STATUSES
from tidegate.doors.http.control.routes import BASE, ROUTES, SCHEMA_PATH

__all__ = ["reference_text"]

HEAD = f"""\
# HTTP API of the control plane

<!-- Made by `python -m tidegate.doors.http.control.reference`; a test holds it against the code. -->

Control listens on `127.0.0.1:8081` by default. Every route under `{BASE}` asks for `Authorization: Bearer TOKEN`;
cookies are never read. Bodies are JSON (`content-type: application/json`) of at most {MAX_BODY_BYTES // 1024**2} MiB.
The schema with every field is OpenAPI at `{SCHEMA_PATH}`.

"""
ERRORS = """\

## Errors

Every answer that is not 2xx has this body. `code` is stable; `mend` says what to do; `param` points into the request.

```json
{"error": {"code": "key_not_found", "message": "There is no key named 'c1'.", "mend": "Known: ci.", "param": null}}
```

| status | error |
|---|---|
"""


def reference_text() -> str:
    """The page."""
    lines = ["## Routes", "", "| method | path | right | what |", "|---|---|---|---|"]
    for route in ROUTES:
        path = route.path.replace(":str", "")
        lines.append(f"| {route.method} | `{path}` | {route.right or 'none'} | {route.summary} |")
    lines += ["", "## Roles and rights", "", f"| right | {' | '.join(ROLES)} |", f"|---|{'---|' * len(ROLES)}"]
    for right in sorted({route.right for route in ROUTES if route.right is not None}):
        lines.append(f"| {right} | {' | '.join('yes' if right in ROLE_RIGHTS[role] else '' for role in ROLES)} |")
    kinds = [
        f"| {status} | {kind.__doc__.partition('.')[0] if kind.__doc__ else ''} |"
        for kind, status in sorted(STATUSES, key=lambda pair: pair[1])
    ]
    return HEAD + "\n".join(lines) + "\n" + ERRORS + "\n".join(kinds) + "\n"


if __name__ == "__main__":
    sys.stdout.write(reference_text())

"""Content over HTTP: a reviewer reads, an admin erases, the subject is never in a URL."""

from typing import Any

import httpx
import pytest

from tests.support.control import MASTER_KEY, admin_headers
from tidegate.adapters.sqlite.contents import SqliteContents
from tidegate.adapters.vault.contents import ContentSeals
from tidegate.app.control import Control
from tidegate.doors.http.control.routes import BASE
from tidegate.live.ports import Content

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_content_is_read_erased_and_gone(
    admin: httpx.AsyncClient, client: httpx.AsyncClient, control: Control
) -> None:
    kept = Content(
        call_id="call_0123456789abcdef", at_ms=1, expires_at_ms=4_000_000_000_000, route="gpt",
        endpoint="chat.completions", request=b'{"model":"gpt"}', answer=b"data: [DONE]\n\n", subject="ada",
    )  # fmt: skip
    store = SqliteContents(control.settings.contents_db_file, lambda: ContentSeals(MASTER_KEY))
    await store.put([kept])
    await store.close()
    made = await admin.post(f"{BASE}/users", json={"name": "rita", "roles": ["reviewer"]})
    rita = admin_headers(made.json()["token"])
    found = await client.get(f"{BASE}/calls/{kept.call_id}/content", headers=rita)
    assert found.status_code == 200
    body: dict[str, Any] = found.json()
    assert (body["request"], body["answer"], body["subject"]) == ({"model": "gpt"}, "data: [DONE]\n\n", "ada")
    asked = {"subject": "ada"}
    assert (await client.post(f"{BASE}/contents/erase", json=asked, headers=rita)).status_code == 403
    receipt = await admin.post(f"{BASE}/contents/erase", json=asked)
    assert receipt.status_code == 200
    assert (receipt.json()["erased"], receipt.json()["unchecked"]) == (1, 0)
    assert (await admin.get(f"{BASE}/calls/{kept.call_id}/content")).status_code == 404
    assert (await admin.post(f"{BASE}/contents/erase", json={"subject": ""})).status_code == 400
    audit = (await admin.get(f"{BASE}/audit")).json()
    assert [row["actor"] for row in audit if row["action"] == "content.read"] == ["rita"]

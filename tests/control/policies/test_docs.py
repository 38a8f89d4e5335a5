"""The YAML that the documents show is a configuration that holds."""

import re

import pytest

from tests.control.policies.configs import MINIMAL
from tests.house.tree import ROOT
from tidegate.control.policies.addresses import PUBLIC_ADDRESSES
from tidegate.control.policies.model import check_config
from tidegate.control.policies.model_shape import PROVIDERS
from tidegate.control.policies.route_shape import STRATEGIES

PAGES = (
    "docs/reference/gateway.md",
    "docs/reference/limits.md",
    "docs/reference/routes.md",
    "docs/how-to/fallback-and-budget.md",
)
BLOCKS = [
    (page, block)
    for page in PAGES
    for block in re.findall(r"```yaml\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
]


@pytest.mark.parametrize(("page", "block"), BLOCKS)
def test_what_a_page_shows_is_in_order(page: str, block: str) -> None:
    text = f"apiVersion: tidegate/v1\n{block}" if block.startswith("models:") else MINIMAL + block
    assert check_config(text, page)[1] == ()


def test_the_page_of_routes_names_every_provider_address_and_strategy() -> None:
    page = (ROOT / "docs/reference/routes.md").read_text(encoding="utf-8")
    for word in (*PROVIDERS, *STRATEGIES):
        assert f"| `{word}` |" in page
    for address in PUBLIC_ADDRESSES.values():
        assert address.replace("{location}", "LOCATION").replace("{region}", "REGION") in page

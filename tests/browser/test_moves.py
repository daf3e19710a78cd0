"""A miner's way into the pool and out of it, as a person sees and types it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from apps.miners.models import Miner
from apps.users.models import User
from tests import factories
from tests.browser.axe import findings
from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor
from tests.people import PASSWORD
from tests.unit.apps.moves.moving import MovingChain, adopted, moving, signed_for

PICTURES = os.environ.get("POOLSITE_PICTURES", "")
"""A folder to which pictures are written, for people who want to look."""


class MoveNode(factories.MinerNode):
    """A node of a moving miner, which signs its blocks itself."""

    def do_StateMinerDeadlines(self, address: str, key: Any) -> Any:
        return MovingChain().state_miner_deadlines(address, key)

    def do_WalletHas(self, _address: str) -> Any:
        return False


@pytest.fixture
def miner(transactional_db: None) -> Iterator[Miner]:
    """A miner of alice's that lotus-miner has; two of its three sectors have a row."""
    row = moving()
    adopted(row, count=2)
    signed_for(row)
    with factories.node_served(MoveNode()):
        yield row


def looked_at(page: Visitor, name: str) -> None:
    """Hold a page against what holds for all of them, on desk and phone, light and dark."""
    expect(page.page.locator("#step-height")).to_be_visible()
    assert page.sideways((320, 390, 768, 1440)) == {}
    for width, scheme in ((1440, "light"), (390, "dark"), (1440, "dark"), (390, "light")):
        page.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.page.set_viewport_size({"width": width, "height": 900})
        assert findings(page) == []
        if PICTURES:
            page.page.screenshot(path=Path(PICTURES) / f"{name}-{width}-{scheme}.png", full_page=True)


def test_the_height_is_typed_reviewed_and_set(miner: Miner, visit: Visit, operator: User) -> None:
    page = visit(operator).go(reverse("miner-move-in", args=["f01000"]))
    looked_at(page, "move-in")
    field = page.page.get_by_label("Switch at height")
    assert field.input_value() == "", "no height is proposed"

    field.fill("1000")
    page.page.get_by_role("button", name="Review…").click()
    expect(page.page.locator("#height-error")).to_contain_text("must be from")
    page.page.get_by_label("Switch at height").fill("1 010")
    page.page.get_by_role("button", name="Review…").click()
    expect(page.page.locator("h1")).to_contain_text("The pool proves f01000 from height")
    expect(page.page.locator("main")).to_contain_text("Unfinished earlier steps")
    page.page.get_by_role("button", name="Continue with unfinished steps").click()
    page.page.get_by_label("Password").fill(PASSWORD)
    page.page.get_by_role("button", name="Confirm").click()
    expect(page.page.locator("#step-height")).to_contain_text("done")
    assert Miner.objects.get().works_from == 1010

    factories.head(1020)
    Miner.objects.update(works_until=1040)
    looked_at(page.go(reverse("miner-move-out", args=["f01000"])), "move-out")

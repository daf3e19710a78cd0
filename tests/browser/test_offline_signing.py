"""Messages are exported, shown as QR codes, signed elsewhere, and their signatures imported."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from apps.messages.models import Message
from apps.messages.services.offline import offline_key_add
from apps.users.models import User
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.keys import KEY_SECP256K1, key_address, key_generate, key_sign
from tests import people
from tests.browser.conftest import Visit
from tests.messaging import pool_world


def test_an_export_is_shown_as_codes_and_its_signature_is_imported(
    visit: Visit, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = key_generate(KEY_SECP256K1)
    address = str(key_address(key))
    with pool_world(monkeypatch) as pool:
        pool.node.balances[address] = 100 * 10**18
        offline_key_add(principal=SYSTEM, tenant=people.tenant("alice"), address=address, label="vault")
        for name in ("one", "two"):
            pool.push(name, address)
        page = visit(alice).go("/offline/", live=False)

        page.page.get_by_role("button", name="Export vault").click()
        page.see("[name=confirm-password]").fill(people.PASSWORD)
        page.see("main form button[type=submit]").click()

        expect(page.see("img")).to_have_attribute("alt", "QR code 1 of 3")
        box = page.see("img").bounding_box()
        assert box is not None
        assert box["width"] > 200
        for at in (2, 3):
            page.page.get_by_role("link", name="Next code").click()
            expect(page.see("img")).to_have_attribute("alt", f"QR code {at} of 3")
        lines = []
        for row in Message.objects.filter(from_addr=address).order_by("nonce"):
            cid = row.chain_message().cid
            lines.append(f"{cid} {bytes(key_sign(key, cid.data)).hex()}")
        page.go("/offline/", live=False)
        expect(page.page.get_by_text("exported", exact=True)).to_have_count(2)
        expect(page.page.locator("[data-until]").first).to_have_text("23 h 59")
        page.see("#text").fill(lines[0])
        page.see("#files").set_input_files(
            {"name": "two.txt", "mimeType": "text/plain", "buffer": lines[1].encode()}
        )
        page.page.get_by_role("button", name="Import").click()

        expect(page.page.get_by_text("No message waits for this key.")).to_be_visible()
        assert {nonce for _, nonce in pool.node.pool} == {0, 1}

"""Changing a signer's policy in a browser: the code seals the change there and never leaves it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from poolsite.filecoin.keys import key_address
from tests import factories, people
from tests.browser.axe import findings
from tests.browser.conftest import Visit
from tests.browser.web import Web
from tests.integration.gateway.conftest import signer_make
from tests.keys import fixed_key
from workers.signer.editors import editor_add
from workers.signer.gateway import GatewayLink
from workers.signer.signing import Signer

SECP = str(key_address(fixed_key("secp256k1")))


@pytest.fixture
def signer(site: Web, tmp_path: Path) -> Iterator[Signer]:
    """Alice's signer, connected to the web process."""
    made = signer_make(tmp_path / "signer", "secp256k1")
    token = people.token("read", scopes=["signer"])
    factories.wallet(SECP, of="alice", label="control")
    link = GatewayLink(made, url=site.url.replace("http", "ws") + "/rpc/v1", token=lambda: token)
    loop, known = asyncio.new_event_loop(), threading.Event()

    async def dial() -> None:
        running = asyncio.create_task(link.run())
        await link.is_connected.wait()
        known.set()
        await running

    def work() -> None:
        try:
            loop.run_until_complete(dial())
        except asyncio.CancelledError:
            loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    assert known.wait(30)
    yield made
    loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
    thread.join(60)
    made.close()


def test_a_rule_is_changed_with_a_code_that_never_leaves_the_browser(
    visit: Visit, site: Web, signer: Signer
) -> None:
    code = editor_add(signer.folder, "ann")
    page = visit(people.person("adam", role="TENANT_ADMIN")).go("/wallets/")
    sent: list[str] = []
    page.page.on("request", lambda request: sent.append(request.post_data or ""))

    page.page.get_by_role("link", name="Signing policy").click()
    page.page.get_by_role("link", name="Change… small transfers").click()
    expect(page.see("h1")).to_have_text("Change “small transfers”")
    assert findings(page) == []
    page.see("#value_max").fill("0.25 FIL")
    page.page.get_by_role("button", name="Review changes").click()
    expect(page.see("h1")).to_have_text("Apply version 2?")
    assert findings(page) == []
    page.see("#code").fill(code)
    page.page.get_by_role("button", name="Apply version 2").click()

    expect(page.see("h1")).to_have_text("Signing policy")
    expect(page.see(".verdict")).to_contain_text("5 rules, version 2.")
    assert 'value_max = "0.25 FIL"' in (signer.folder / "policy.toml").read_text()
    assert sent
    assert all(code not in body for body in sent)


def test_a_wrong_code_is_said_where_it_was_typed(visit: Visit, site: Web, signer: Signer) -> None:
    editor_add(signer.folder, "ann")
    page: Any = visit(people.person("adam", role="TENANT_ADMIN"))
    page.go(f"/wallets/{SECP}/policy/", live=False)

    page.page.get_by_role("button", name="Remove… blocks").click()
    page.see("#code").fill("guessed")
    page.page.get_by_role("button", name="Apply version 2").click()

    expect(page.page.get_by_role("alert")).to_contain_text("The signer rejected the change.")
    expect(page.see("h1")).to_have_text("Apply version 2?")

"""The live path in a real browser: pushed rows, focus, refusals, tenants, lost Redis, restarted server."""

from __future__ import annotations

import re
import signal
import time
from datetime import timedelta

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from apps.chain.selectors.network import network_current
from apps.chain.selectors.status import GONE_EPOCHS
from apps.core.clock import now
from apps.core.live import Change, publish
from apps.sectors.models import Sector
from apps.sectors.services.hosts.commands import worker_command_enqueue
from apps.sectors.services.sealing.steps import sector_retry, sector_stop
from apps.users.models import User
from apps.users.services.tenants import tenant_update
from poolsite.wire.commands import Operation
from poolsite.wire.pipeline import SectorState
from tests import factories
from tests.browser.conftest import Visit
from tests.browser.live import elsewhere
from tests.browser.web import Web
from tests.demo_data import busy_pool
from tests.people import tenant
from tests.servers import RedisServer

"""What the product promises from commit to pixel."""


def stop(sector: Sector) -> None:
    """Pause a sector by its service, as a worker's report may."""
    elsewhere(lambda: sector_stop(sector, actor="a test", now=now()))


def push(sector: Sector) -> None:
    """Publish a sector as changed, though it is as it was."""
    elsewhere(lambda: publish(Change("sector", str(sector.uuid), sector.miner.tenant_id)))


def head_publish(height: int) -> None:
    """Let the chain grow, which every page shows."""
    factories.head(height)
    elsewhere(lambda: publish(Change("head", height, None)))


@pytest.fixture
def sector(transactional_db: None) -> Sector:
    factories.head(1000)
    return factories.sector(factories.miner(2001), number=7, state=SectorState.PC1_DONE)


def test_a_change_reaches_two_browsers_at_once(
    visit: Visit, alice: User, operator: User, sector: Sector
) -> None:
    first, second = visit(alice).go("/sectors/"), visit(operator).go("/sectors/")
    row = f"#f-sector-{sector.uuid} .c-state"
    for page in (first, second):
        expect(page.see(row)).to_have_text("waiting for PC2")
        page.note_when(row, "paused in PC2")

    stop(sector)
    committed = time.time()

    for page in (first, second):
        expect(page.see(row)).to_have_text("paused in PC2")
        page.noted_soon(committed)


def test_a_change_never_reaches_another_tenant(visit: Visit, bob: User, alice: User, sector: Sector) -> None:
    stranger, owner = visit(bob).go("/sectors/"), visit(alice).go("/sectors/")
    stranger.listen()

    stop(sector)

    expect(owner.see(f"#f-sector-{sector.uuid} .c-state")).to_have_text("paused in PC2")
    head_publish(1001)  # goes to everyone, and after what came before
    expect(stranger.see("#f-head")).to_contain_text("1\u202f001")
    [frame] = stranger.frames()
    assert str(sector.uuid) not in frame


def test_what_belongs_to_all_reaches_every_tenant(visit: Visit, bob: User) -> None:
    factories.head(1000)
    page = visit(bob).go("/")

    head_publish(1001)

    expect(page.see("#f-head")).to_contain_text("1\u202f001")


def test_the_bar_finds_out_by_itself_that_no_head_comes(visit: Visit, bob: User) -> None:
    factories.head(1000)
    # In sync, however long the page takes to come.
    arrived = now().replace(microsecond=0) + timedelta(minutes=1)
    factories.head(1001, arrived_at=arrived)
    page, gone = visit(bob).go("/"), int(arrived.timestamp()) + GONE_EPOCHS * network_current().epoch_s
    expect(page.see("#f-head .say")).to_have_attribute("data-gone", str(gone))

    page.run("document.querySelector('#f-head .say').dataset.late = 0")
    expect(page.see("#f-head .say")).to_have_text("no new head")
    page.run("document.querySelector('#f-head .say').dataset.gone = 0")
    expect(page.see("#f-head .say")).to_have_text("chain stalled")
    head_publish(1002)
    expect(page.see("#f-head .say")).to_have_text("in sync")


def test_a_new_row_waits_behind_the_pill(visit: Visit, alice: User, sector: Sector) -> None:
    page = visit(alice).go("/sectors/")

    other = factories.sector(sector.miner, number=8)
    push(other)

    expect(page.see("#new-rows")).to_have_text("1 new")
    page.see("#new-rows").click()
    expect(page.see(f"#f-sector-{other.uuid}")).to_be_visible()


def test_a_field_keeps_focus_caret_and_text(visit: Visit, alice: User, sector: Sector) -> None:
    page = visit(alice).go("/sectors/")
    page.see("#list-q").fill("hello")
    page.run("document.getElementById('list-q').setSelectionRange(2, 4)")

    stop(sector)
    expect(page.see(f"#f-sector-{sector.uuid} .c-state")).to_have_text("paused in PC2")
    page.resync()

    kept = "i => [document.activeElement === i, i.value, i.selectionStart]"
    assert page.run(f"({kept})(document.getElementById('list-q'))") == [True, "hello", 2]


@pytest.mark.parametrize("name", ["retry", pytest.param("name", marks=pytest.mark.slow)])
def test_a_button_or_link_keeps_focus(visit: Visit, alice: User, sector: Sector, name: str) -> None:
    stop(sector)
    page = visit(alice).go("/sectors/")
    page.see(f"#{name}-{sector.uuid}").focus()
    page.mark(f"#f-sector-{sector.uuid}")

    push(sector)

    page.wait_unmarked(f"#f-sector-{sector.uuid}")
    assert page.run("document.activeElement.id") == f"{name}-{sector.uuid}"


def test_a_refusal_stands_below_its_row_and_pushes_do_not_wipe_it(
    visit: Visit, alice: User, sector: Sector
) -> None:
    stop(sector)
    page = visit(alice).go("/sectors/")
    with page.page.expect_request("**/retry/") as held:
        page.hold("**/retry/")
        page.see(f"#retry-{sector.uuid}").click()
    assert held.value.method == "POST"

    elsewhere(lambda: sector_retry(sector, actor="somebody else", now=now()))
    expect(page.see(f"#f-sector-{sector.uuid} .c-state")).to_have_text("waiting for PC2")
    page.release()

    expect(page.see(f"#f-sector-{sector.uuid}-refusal .error")).to_contain_text("is not paused")
    page.mark(f"#f-sector-{sector.uuid}")
    push(sector)
    page.wait_unmarked(f"#f-sector-{sector.uuid}")
    expect(page.see(f"#f-sector-{sector.uuid}-refusal .error")).to_be_visible()


def test_an_action_answers_where_the_click_was(visit: Visit, alice: User) -> None:
    worker = factories.worker("sealer")
    page = visit(alice).go("/hosts/")

    page.see(f"#pause-{worker.pk}").click()

    expect(page.see(f"#f-host-{worker.pk} .actions")).to_contain_text("Resume")
    expect(page.see(f"#f-host-{worker.pk}")).to_contain_text("pauses with its next heartbeat")
    assert worker.commands.get().op == Operation.PAUSE


def test_every_page_follows_its_object(visit: Visit, operator: User) -> None:
    pool = busy_pool()
    page = visit(operator).go(reverse("sector", args=[pool.sealing.uuid]))

    stop(pool.sealing)

    expect(page.see("#f-sector-head")).to_contain_text("paused in PC1")
    expect(page.see("#f-sector-head").get_by_role("button", name="Retry")).to_be_visible()


def test_a_page_open_while_redis_was_killed_gets_right_again(
    visit: Visit, alice: User, sector: Sector, redis_server: RedisServer
) -> None:
    page = visit(alice).go("/sectors/")
    redis_server.kill()
    stop(sector)  # commits; its push is lost

    redis_server.start()

    expect(page.see(f"#f-sector-{sector.uuid} .c-state")).to_have_text("paused in PC2")
    elsewhere(lambda: sector_retry(sector, actor="a test", now=now()))
    expect(page.see(f"#f-sector-{sector.uuid} .c-state")).to_have_text("waiting for PC2")


@pytest.mark.parametrize("how", [pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGKILL])
def test_a_page_finds_back_to_a_restarted_server(
    visit: Visit, alice: User, sector: Sector, site: Web, how: signal.Signals
) -> None:
    page = visit(alice).go("/sectors/")
    page.forgive("WebSocket connection", "ERR_", "htmx:")
    site.end(how)
    expect(page.see("#stale")).to_be_visible(timeout=20_000)
    expect(page.see("#f-live")).to_have_text(re.compile(r"Offline|Stale \d+ s"))
    expect(page.see(f"#f-sector-{sector.uuid} .c-state")).to_have_text("waiting for PC2")
    stop(sector)

    site.start()

    expect(page.see("#f-live")).to_have_text("Live")
    expect(page.see("#stale")).to_be_hidden()
    expect(page.see(f"#f-sector-{sector.uuid} .c-state")).to_have_text("paused in PC2")


def test_a_page_opens_without_redis(
    visit: Visit, alice: User, sector: Sector, redis_server: RedisServer
) -> None:
    redis_server.kill()
    try:
        page = visit(alice).go("/sectors/")
        expect(page.see(f"#f-sector-{sector.uuid}")).to_be_visible()
    finally:
        redis_server.start()


def test_a_page_opened_without_redis_gets_right_when_it_is_back(
    visit: Visit, alice: User, sector: Sector, redis_server: RedisServer
) -> None:
    redis_server.kill()
    try:
        page = visit(alice).go("/sectors/")
        stop(sector)  # commits; its push is lost
    finally:
        redis_server.start()

    expect(page.see(f"#f-sector-{sector.uuid} .c-state")).to_have_text("paused in PC2")


def test_what_is_pushed_while_the_page_fetches_itself_stays(
    visit: Visit, alice: User, sector: Sector
) -> None:
    page = visit(alice).go("/sectors/")
    state, other = f"#f-sector-{sector.uuid} .c-state", factories.sector(sector.miner, number=8)
    page.hold_answers("**/sectors/")
    page.mark("#f-page")
    page.ask_resync()
    page.wait_held()
    stop(sector)
    push(other)
    expect(page.see(state)).to_have_text("paused in PC2")
    expect(page.see("#new-rows")).to_have_text("1 new")

    page.release()

    page.wait_unmarked("#f-page")
    expect(page.see(f"#f-sector-{other.uuid}")).to_be_visible()
    expect(page.see("#new-rows")).to_be_hidden()
    expect(page.see(state)).to_have_text("paused in PC2")


def test_a_page_asked_to_fetch_itself_while_it_does_fetches_itself_again(
    visit: Visit, alice: User, sector: Sector
) -> None:
    page = visit(alice).go("/sectors/")
    page.hold_answers("**/sectors/")
    page.ask_resync()
    page.wait_held()
    type(sector).objects.filter(pk=sector.pk).update(number=9)
    page.ask_resync()

    page.release()

    expect(page.see(f"#name-{sector.uuid}")).to_have_text("f02001 / 9")


def test_signing_out_in_one_window_ends_the_others(visit: Visit, alice: User) -> None:
    page = visit(alice).go("/")
    other = page.another().go("/hosts/")

    other.see("button[popovertarget=account]").click()
    other.page.get_by_role("button", name="Sign out").click()

    expect(page.page).to_have_url(f"{page.url}/login/?next=/")


def test_a_disabled_tenants_pages_close(visit: Visit, alice: User) -> None:
    page = visit(alice).go("/")

    elsewhere(lambda: tenant_update(tenant=tenant("alice"), enabled=False))

    expect(page.see("h1")).to_have_text("Sign in to Poolsite")


def test_a_burst_of_changes_makes_the_page_fetch_itself_once(
    visit: Visit, alice: User, sector: Sector, site: Web
) -> None:
    page = visit(alice).go("/sectors/")
    page.mark("#f-page")
    fetched: list[str] = []
    page.page.on("request", lambda request: fetched.append(request.url))

    with site.paused():  # so that they come together, however slowly they are sent
        for number in range(200):
            publish(Change("sector", f"00000000-0000-0000-0000-{number:012}", sector.miner.tenant_id))
        stop(sector)

    expect(page.see(f"#f-sector-{sector.uuid} .c-state")).to_have_text("paused in PC2")
    page.wait_unmarked("#f-page")
    page.wait_swapped()
    assert 1 <= sum(url.endswith("/sectors/") for url in fetched) <= 3


def test_a_change_is_on_the_page_about_as_soon_as_a_page_loads(
    visit: Visit, operator: User, sector: Sector
) -> None:
    page = visit(operator).go("/sectors/")
    worker_command_enqueue(factories.worker("warm"), op=Operation.PAUSE, args={}, actor="a test")
    row = f"#f-sector-{sector.uuid} .c-state"
    for word, act in (("paused in PC2", stop), ("waiting for PC2", _retry)) * 3:
        page.note_when(row, word)
        start = time.time()
        act(sector)
        page.noted_soon(start)
        expect(page.see(row)).to_have_text(word)


def _retry(sector: Sector) -> None:
    elsewhere(lambda: sector_retry(sector, actor="a test", now=now()))

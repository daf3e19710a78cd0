"""The page Recovery in each of its states, wide and narrow, light and dark; it follows by itself."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from apps.core import clock
from apps.core.live import publish
from apps.messages.models import Recovery, Sender, UnmatchedMessage
from apps.messages.selectors.recovery import unmatched_open
from apps.messages.services.recovery.detect import RECOVERY_CHANGE, recovery_begin
from apps.sectors.models import SectorNumbers
from apps.users.models import User
from poolsite.filecoin.cids import cid_of_cbor
from tests import factories
from tests.browser.axe import findings
from tests.browser.conftest import Visit
from tests.browser.live import elsewhere
from tests.browser.visitor import Visitor

REASON = "the database was restored or moved: its cluster and table changed"


def unmatched(sender: str, *, nonce: int = 7) -> UnmatchedMessage:
    now = clock.now()
    cid = str(cid_of_cbor(b"sent%d" % nonce))
    return UnmatchedMessage.objects.create(
        cid=cid,
        unsigned_cid=cid,
        from_addr=sender,
        nonce=nonce,
        to="f01002",
        value=5 * 10**18,
        method=0,
        gas_limit=1,
        gas_fee_cap=1,
        gas_premium=1,
        height=12,
        found_at=now,
    )


@pytest.mark.parametrize(
    ("width", "theme"), [pytest.param(1440, "light", marks=pytest.mark.slow), (390, "dark")]
)
def test_recovery_page_follows_from_none_to_done(
    visit: Visit, operator: User, width: int, theme: str
) -> None:
    visitor = visit(operator, viewport={"width": width, "height": 900}, color_scheme=theme)
    page = visitor.go("/recovery/").page
    shown = page.locator("#f-page")
    miner = factories.miner()
    factories.worker("sealer-1")
    sender = Sender.objects.create(address=miner.worker)
    look(visitor, f"none-{width}-{theme}")
    expect(shown).to_contain_text("No recovery is needed.")

    recovery_begin(REASON, now=clock.now())
    expect(shown).to_contain_text("No messages are signed.")
    expect(shown).to_contain_text("Hosts to report")
    expect(shown).to_contain_text("sealer-1")
    look(visitor, f"running-{width}-{theme}")

    Sender.objects.filter(pk=sender.pk).update(read_back_at=clock.now())
    Recovery.objects.update(read_height=9)
    SectorNumbers.objects.create(miner=miner, read_back_at=clock.now())
    unmatched(miner.worker)
    factories.message(from_addr=miner.worker)
    publish(RECOVERY_CHANGE)
    expect(shown).to_contain_text("1 message to decide about.")
    look(visitor, f"person-{width}-{theme}")
    visitor.forgive("before the connection is established", "[object Event]")  # forms replace what opens it
    page.locator("select[name=message]").select_option("outside")
    page.get_by_role("button", name="Save").click()
    expect(shown).to_contain_text("Sealing hosts have to report.")
    look(visitor, f"hosts-{width}-{theme}")

    page.get_by_role("button", name="End recovery").click()
    expect(page.locator("main")).to_contain_text("may then be paid or sealed a second time")
    look(visitor, f"ask-{width}-{theme}")
    page.get_by_role("button", name="End recovery").click()
    expect(shown).to_contain_text("Recovery is done.")
    look(visitor, f"done-{width}-{theme}")


def test_a_page_that_a_form_replaced_takes_no_older_answer(visit: Visit, operator: User) -> None:
    factories.miner()
    recovery_begin(REASON, now=clock.now())
    visitor = visit(operator).go("/recovery/")
    main = visitor.page.locator("main")
    visitor.run("document.addEventListener('htmx:configRequest', event => { event.detail.timeout = 0; })")
    visitor.hold("**/recovery/")
    visitor.ask_resync()
    visitor.wait_held()
    visitor.is_holding = False  # what comes from now on passes
    visitor.page.get_by_role("button", name="End recovery").click()
    expect(main).to_contain_text("may then be paid or sealed a second time")
    with visitor.page.expect_response(lambda answer: answer.request.method == "GET"):
        visitor.release()
    visitor.wait_swapped()  # an older answer would be swapped in now
    expect(main).to_contain_text("may then be paid or sealed a second time")
    assert visitor.complaints == []


@pytest.mark.parametrize("order", [1, pytest.param(-1, marks=pytest.mark.slow)])
def test_of_two_forms_the_answer_to_the_last_one_stays(visit: Visit, operator: User, order: int) -> None:
    miner = factories.miner()
    recovery_begin(REASON, now=clock.now())
    unmatched(miner.worker)
    visitor = visit(operator).go("/recovery/")
    main = visitor.page.locator("main")
    visitor.page.locator("select[name=message]").select_option("outside")
    visitor.hold_answers("**/recovery/")
    visitor.page.get_by_role("button", name="Save").click()
    visitor.wait_held()
    visitor.is_holding = False
    visitor.resync()
    assert not unmatched_open().exists()
    visitor.is_holding = True
    visitor.page.get_by_role("button", name="End recovery").click()
    visitor.wait_held(2)
    visitor.held = visitor.held[::order]
    visitor.release()
    expect(main).to_contain_text("may then be paid or sealed a second time")
    visitor.page.wait_for_load_state("networkidle")
    expect(main).to_contain_text("may then be paid or sealed a second time")


@pytest.fixture
def undecided(operator: User) -> list[UnmatchedMessage]:
    """Two messages of one sender that a person has to decide about, and one that either may be."""
    miner = factories.miner()
    recovery_begin("the database was restored or moved", now=clock.now())
    factories.message(from_addr=miner.worker)
    return [unmatched(miner.worker, nonce=nonce) for nonce in (7, 8)]


@pytest.mark.parametrize(
    "how", [*(pytest.param(one, marks=pytest.mark.slow) for one in ("fetched", "pushed")), "both"]
)
def test_a_decision_stays_with_its_message(
    visit: Visit, operator: User, undecided: list[UnmatchedMessage], how: str
) -> None:
    page = visit(operator).go("/recovery/")
    first, second = (page.see(f"#message-{one.cid}") for one in undecided)
    first.select_option("outside")
    first.focus()
    page.mark("#f-recovery-messages")
    if how == "both":
        page.hold_answers("**/recovery/")
        page.ask_resync()
        page.wait_held()
    if how == "fetched":
        page.resync()
    else:
        elsewhere(lambda: publish(RECOVERY_CHANGE))
        page.wait_unmarked("#f-recovery-messages")
    if how == "both":
        page.mark("#f-page")
        page.release()
        page.wait_unmarked("#f-page")

    expect(first).to_have_value("outside")
    expect(first).to_be_focused()
    expect(second).to_have_value("")


def test_a_refused_decision_says_so_after_the_page_has_fetched_itself(
    visit: Visit, operator: User, undecided: list[UnmatchedMessage]
) -> None:
    page = visit(operator).go("/recovery/")
    page.forgive("before the connection is established", "[object Event]")  # forms replace what opens it
    undecided[0].delete()
    page.see(f"#message-{undecided[0].cid}").select_option("outside")

    page.page.get_by_role("button", name="Save").first.click()

    expect(page.see(".note[data-tone=bad]")).to_be_visible()
    page.wait_live()
    page.resync()
    expect(page.see(".note[data-tone=bad]")).to_be_visible()


def look(visitor: Visitor, name: str) -> None:
    """Nothing that axe-core minds."""
    assert findings(visitor) == []

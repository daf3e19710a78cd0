"""The line "N new" of a list: it counts the rows that belong on the page and are not on it, and no others."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import expect

from apps.core.live import Change, publish
from apps.dashboard.pagination import ROWS
from apps.messages.models import Message
from apps.messages.states import MessageState
from apps.sectors.models import Sector
from apps.users.models import User
from poolsite.wire.pipeline import SectorState
from tests import factories
from tests.browser.conftest import Visit
from tests.browser.live import elsewhere
from tests.browser.visitor import Visitor


def push(*rows: Message | Sector) -> None:
    """Publish rows as changed."""

    def work() -> None:
        for row in rows:
            if isinstance(row, Sector):
                publish(Change("sector", str(row.uuid), row.miner.tenant_id))
            else:
                publish(Change("message", row.pk, row.tenant_id))

    elsewhere(work)


def wait_pushed(page: Visitor, row: Message) -> None:
    """Return when what was published up to now has arrived: this row of the page comes last."""
    page.mark(f"#f-message-{row.pk}")
    push(row)
    page.wait_unmarked(f"#f-message-{row.pk}")


@pytest.fixture
def messages(transactional_db: None) -> list[Message]:
    """Two pages of messages, the newest first."""
    factories.head(1000)
    return [factories.message(f"m{number}", state=MessageState.FILLED) for number in range(ROWS + 2)][::-1]


def test_a_change_of_a_row_further_down_is_not_new(
    visit: Visit, alice: User, messages: list[Message]
) -> None:
    page = visit(alice).go("/messages/")
    push(messages[-1])
    wait_pushed(page, messages[0])
    expect(page.see("#new-rows")).to_be_hidden()

    push(factories.message("later"), messages[-1])

    expect(page.see("#new-rows")).to_have_text("1 new")


def test_a_later_page_counts_nothing(visit: Visit, alice: User, messages: list[Message]) -> None:
    page = visit(alice).go("/messages/")
    page.page.get_by_role("link", name="Older").click()
    expect(page.see(f"#f-message-{messages[-1].pk}")).to_be_visible()
    page.wait_live()

    push(messages[0], factories.message("later"))
    wait_pushed(page, messages[-1])

    expect(page.see("#new-rows")).to_have_count(0)


def test_a_filter_counts_what_it_shows(visit: Visit, alice: User, messages: list[Message]) -> None:
    landed = factories.message("landed", state=MessageState.LANDED)
    page = visit(alice).go("/messages/?state=landed")
    push(messages[0], factories.message("later"))
    wait_pushed(page, landed)
    expect(page.see("#new-rows")).to_be_hidden()

    type(landed).objects.filter(pk=messages[0].pk).update(state=MessageState.LANDED, height=1000, exit_code=0)
    push(messages[0])

    expect(page.see("#new-rows")).to_have_text("1 new")
    page.see("#new-rows").click()
    expect(page.see(f"#f-message-{messages[0].pk}")).to_be_visible()
    expect(page.see(f"#f-message-{messages[1].pk}")).to_have_count(0)


def test_a_row_that_left_the_filter_is_no_longer_new(
    visit: Visit, alice: User, messages: list[Message]
) -> None:
    page = visit(alice).go("/messages/?state=open")
    later = factories.message("later", state=MessageState.FILLED)
    push(later)
    expect(page.see("#new-rows")).to_have_text("1 new")

    type(later).objects.filter(pk=later.pk).update(state=MessageState.LANDED, height=1000, exit_code=0)
    push(later)

    expect(page.see("#new-rows")).to_be_hidden()


def test_what_a_fetched_page_has_no_room_for_is_not_new(
    visit: Visit, alice: User, messages: list[Message]
) -> None:
    page = visit(alice).go("/messages/")
    later = factories.message("later")
    push(later)
    expect(page.see("#new-rows")).to_have_text("1 new")
    for number in range(ROWS):
        factories.message(f"much-later{number}", created_at=later.created_at + timedelta(seconds=1))
    page.resync()

    wait_pushed(page, type(later).objects.latest("created_at"))

    expect(page.see("#new-rows")).to_be_hidden()


def test_sectors_of_another_miner_are_not_new(visit: Visit, alice: User) -> None:
    factories.head(1000)
    miner, other = factories.miner(2001), factories.miner(2002)
    sector = factories.sector(miner, number=7, state=SectorState.PC1_DONE)
    page = visit(alice).go(f"/sectors/?miner={miner.address}")
    page.mark(f"#f-sector-{sector.uuid}")
    push(factories.sector(other, number=1), sector)
    page.wait_unmarked(f"#f-sector-{sector.uuid}")
    expect(page.see("#new-rows")).to_be_hidden()

    push(factories.sector(miner, number=8))

    expect(page.see("#new-rows")).to_have_text("1 new")

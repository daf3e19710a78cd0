"""How changes become updates: at once, then gathered; and how a subscription notices lost events."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer
from uvicorn.protocols.utils import ClientDisconnected

from apps.dashboard import live
from apps.dashboard.live import (
    MAX_CHANGES,
    RESYNC,
    Audience,
    AudiencePages,
    LiveConsumer,
    LiveUpdates,
    group_watched,
)
from apps.dashboard.live_gaps import GapDetector
from apps.dashboard.sessions import PageSession
from apps.users.rules.principals import Principal
from tests.waiting import until_async

TENANTS = {"alice": 1, "bob": 2, "pool": 3}


def principal(tenant: str = "alice", **overrides: Any) -> Principal:
    """A viewer; no row is needed to share updates."""
    data = {"tenant_id": TENANTS[tenant], "is_operator": False, "perm": "sign", **overrides}
    return Principal(tenant_name=tenant, **data)


def audience(tenant: str = "alice", **overrides: Any) -> Audience:
    return Audience(viewer=principal(tenant, **overrides), page="sectors")


class Page(LiveConsumer):
    """A page that keeps what it is sent; sending can be held up."""

    def __init__(self, of: Audience) -> None:
        super().__init__()
        self.audience = of
        self.session = PageSession(user_id=1, session_key="one")
        self.is_open = True
        self.sent: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def send(self, text_data: Any = None, *_args: Any, **_rest: Any) -> None:  # type: ignore[override]  # two parents differ
        await self.gate.wait()
        self.sent.append(text_data or "")


class Drawn(AudiencePages):
    """Watchers whose updates tell which rows are in them."""

    async def update(self, rows: set[tuple[str, str]]) -> str:
        return RESYNC if len(rows) > MAX_CHANGES else ",".join(sorted(pk for _, pk in rows))


@pytest.fixture
def watchers(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    monkeypatch.setattr(live, "BATCH_WINDOW_S", 0.02)
    return Drawn(audience())


async def settled(watchers: AudiencePages) -> None:
    await until_async(lambda: watchers.flushing is None)


async def test_the_first_change_goes_out_at_once_and_what_follows_together(watchers: Drawn) -> None:
    page = Page(watchers.audience)
    watchers.pages.add(page)

    watchers.changed(("sector", "1"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for pk in ("2", "3", "2"):
        watchers.changed(("sector", pk))
    await settled(watchers)

    assert page.sent == ["1", "2,3"]


async def test_a_slow_reader_misses_updates_and_is_told_to_fetch(watchers: Drawn) -> None:
    page = Page(watchers.audience)
    page.gate.clear()
    watchers.pages.add(page)

    for number in range(5):
        page.push(f"update {number}")
        await asyncio.sleep(0)
    page.gate.set()
    await asyncio.sleep(0.01)
    page.push("update 9")
    await asyncio.sleep(0.01)

    assert page.sent == ["update 0", RESYNC, "update 9"]


async def test_a_page_that_goes_away_while_it_is_told_leaves_no_complaint(
    watchers: Drawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Page(watchers.audience)

    async def gone(*_args: Any, **_rest: Any) -> None:
        raise ClientDisconnected

    monkeypatch.setattr(page, "send", gone)
    page.push("update")
    assert page.sending is not None
    await page.sending

    assert page.sending.exception() is None


async def test_an_empty_update_is_not_sent(watchers: Drawn) -> None:
    page = Page(watchers.audience)
    watchers.pages.add(page)

    await watchers.broadcast("")

    assert page.sent == []


async def test_too_many_rows_become_one_word(monkeypatch: pytest.MonkeyPatch) -> None:
    watchers = AudiencePages(audience())

    assert await watchers.update({("sector", str(pk)) for pk in range(MAX_CHANGES + 1)}) == RESYNC


async def test_an_update_that_fails_makes_the_pages_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: Any, **_rest: Any) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(live, "fragments_render", broken)

    assert await AudiencePages(audience()).update({("sector", "1")}) == RESYNC


def probe(number: int, server: str = "run-1") -> dict[str, Any]:
    return {"type": "live.probe", "number": number, "server": server}


def test_probes_in_order_miss_nothing() -> None:
    gaps = GapDetector()

    assert [gaps.has_gap(event) for event in (probe(1), {"type": "live.change"}, probe(2), probe(3))] == [
        False
    ] * 4


def test_a_lost_probe_means_lost_events() -> None:
    gaps = GapDetector()
    gaps.has_gap(probe(1))

    assert gaps.has_gap(probe(3))
    assert not gaps.has_gap(probe(4))


def test_another_start_of_redis_means_lost_events() -> None:
    gaps = GapDetector()
    gaps.has_gap(probe(1))

    assert gaps.has_gap(probe(2, "run-2"))
    assert not gaps.has_gap(probe(3, "run-2"))


def test_a_long_silence_means_lost_events() -> None:
    gaps = GapDetector()

    assert not gaps.has_gap({"type": "live.change"})
    gaps.last_at -= 8.0
    assert gaps.has_gap({"type": "live.change"})


def test_operators_listen_to_all_and_tenants_to_their_own() -> None:
    assert group_watched(principal("pool", is_operator=True)) == "live.pool"
    assert group_watched(principal("alice")) == "live.1"


def test_who_belongs_to_nobody_hears_of_nobody() -> None:
    assert group_watched(principal("alice", tenant_id=None)) == "live.0"


async def test_the_last_page_to_leave_takes_the_subscription_with_it() -> None:
    updates, one, two = LiveUpdates(), Page(audience()), Page(audience())
    updates.join(one)
    updates.join(two)
    [listener] = updates.listeners.values()

    updates.leave(one)
    assert updates.listeners
    updates.leave(two)
    updates.leave(two)

    await asyncio.sleep(0.01)
    assert (updates.audiences, updates.listeners, updates.recheck) == ({}, {}, None)
    assert listener.cancelled() or listener.done()


class Stalled(InMemoryChannelLayer):
    """A layer that subscribes nobody until its gate is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def new_channel(self, prefix: str = "specific.") -> str:
        await self.gate.wait()
        return str(await super().new_channel(prefix))


@pytest.fixture
def stalled(monkeypatch: pytest.MonkeyPatch) -> Stalled:
    layer = Stalled()
    monkeypatch.setattr(live, "channel_layer", lambda: layer)
    monkeypatch.setattr(live, "server_run", lambda: "run-1")
    monkeypatch.setattr(live, "fragments_render", lambda rows, **_rest: ",".join(pk for _, pk in rows))
    return layer


async def sent(page: Page, many: int) -> list[str]:
    async with asyncio.timeout(60):
        await until_async(lambda: len(page.sent) >= many)
    return page.sent


async def test_a_page_opens_when_changes_reach_it(stalled: Stalled) -> None:
    updates, page = LiveUpdates(), Page(audience())
    page.is_open = False
    updates.join(page)
    opening = asyncio.create_task(updates.wait_subscribed(page))
    await asyncio.sleep(0.01)
    assert not opening.done()

    stalled.gate.set()
    await opening
    page.is_open = True
    await stalled.group_send("live.1", {"type": "live.change", "kind": "sector", "pk": "7"})

    assert await sent(page, 1) == ["7"]
    updates.leave(page)
    await asyncio.sleep(0.01)


async def test_a_page_that_opened_unheard_fetches_itself_when_it_is_heard(
    stalled: Stalled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SUBSCRIBE_TIMEOUT_S", 0.01)
    updates, page = LiveUpdates(), Page(audience())
    updates.join(page)
    await updates.wait_subscribed(page)
    assert page.sent == []

    stalled.gate.set()

    assert await sent(page, 1) == [RESYNC]
    updates.leave(page)
    await asyncio.sleep(0.01)


async def test_a_page_that_is_not_open_is_sent_nothing(watchers: Drawn) -> None:
    page = Page(watchers.audience)
    page.is_open = False

    page.push("update")

    assert page.sending is None


async def test_a_session_holds_so_many_pages_and_gets_its_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.dashboard.live.PAGES_MAX", 2)
    updates, pages = LiveUpdates(), [Page(audience()), Page(audience())]
    for page in pages:
        updates.join(page)

    assert not updates.has_capacity(pages[0].session)
    assert updates.has_capacity(PageSession(user_id=2, session_key="other"))
    updates.leave(pages[0])
    assert updates.has_capacity(pages[1].session)
    updates.leave(pages[1])

    assert not updates.sessions


async def test_colleagues_share_updates_and_others_do_not() -> None:
    updates = LiveUpdates()
    pages = [Page(audience()), Page(audience()), Page(audience("bob")), Page(audience(perm="read"))]
    for page in pages:
        updates.join(page)

    assert sorted(len(watchers.pages) for watchers in updates.audiences.values()) == [1, 1, 2]

    for page in pages:
        updates.leave(page)
    await asyncio.sleep(0.01)

"""What is pushed equals what the page shows, part by part, and goes only to pages that may see it."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.dashboard.fragments import fragment
from apps.dashboard.layout import FRAME, nav_of
from apps.dashboard.live_fragments import fragments_render
from apps.dashboard.page_data import PageData
from apps.dashboard.registry import live_pages
from tests import factories
from tests.demo_changes import changes
from tests.demo_data import addresses, busy_pool
from tests.people import PASSWORD, operator_person, principal

pytestmark = pytest.mark.django_db

VOID = {"area", "br", "col", "hr", "img", "input", "link", "meta"}
OOB = ' hx-swap-oob="true"'


class Parts(HTMLParser):
    """Elements with an id, as text; roots in their order."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=False)
        self.html = html
        self.starts = [0]
        for line in html.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.open: list[tuple[str, str, int]] = []
        self.by_id: dict[str, str] = {}
        self.roots: list[tuple[str, str]] = []
        self.feed(html)

    def _offset(self) -> int:
        line, column = self.getpos()
        return self.starts[line - 1] + column

    def handle_starttag(self, tag, attrs):
        if tag in VOID:
            return
        key = dict(attrs).get("id") or ""
        if not self.open:
            self.roots.append((tag, key))
        self.open.append((tag, key, self._offset()))

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        while self.open:
            name, key, start = self.open.pop()
            if key:
                self.by_id[key] = self.html[start : self._offset() + len(tag) + 3]
            if name == tag:
                return


def plain(html: str) -> str:
    """A fragment without what may differ: the mark, the flash, the form's token, running times."""
    html = re.sub(r"\s+", " ", html.replace(OOB, "").replace(' class="changed"', "")).replace(" >", ">")
    html = re.sub(r'<input type="hidden" name="csrfmiddlewaretoken"[^>]*>', "", html)
    html = re.sub(r'data-until="\d+"(?: title="[^"]*")?>[^<]*<', "<", html)
    html = re.sub(r"checks? at [\d:]+ UTC", "checks", html)
    html = re.sub(r'class="now" x1="[\d.]+%" x2="[\d.]+%"', 'class="now"', html)
    if "f-sector-gantt" in html or "f-sealing" in html:  # its axis ends now
        html = re.sub(r"[\d.:]+ ?(%|m?s)?", "", html)
    return re.sub(r"\s+", " ", html)


def watching(tenant="alice", **overrides):
    return replace(principal(tenant), actor="", **overrides)


def page_keys(pool):
    return {
        "today": "today",
        "miners": "miners",
        "sectors": "sectors",
        "messages": "messages",
        "senders": "senders",
        "sender": f"sender:{pool.wallet.address}",
        "gas": "gas",
        "wallets": "wallets",
        "hosts": "hosts",
        "sealing": "sealing:hours=6",
        "stores": "stores",
        "pieces": "pieces",
        "deals": "deals",
        "miner": f"miner:{pool.miner.address}",
        "sector-active": f"sector:{pool.active.uuid}",
        "sector-paused": f"sector:{pool.paused.uuid}",
        "message-landed": f"message:{pool.landed.id}",
        "message-flying": f"message:{pool.flying.id}",
        "message-stuck": f"message:{pool.stuck.id}",
    }


NAMES = (
    "today",
    "miners",
    "sectors",
    "messages",
    "senders",
    "sender",
    "gas",
    "wallets",
    "hosts",
    "sealing",
    "stores",
    "pieces",
    "deals",
    "miner",
    "sector-active",
    "sector-paused",
    "message-landed",
    "message-flying",
    "message-stuck",
)


@pytest.mark.parametrize("name", NAMES)
def test_page_and_push_are_equal_but_for_the_mark(name):
    # No epoch ends between the two looks.
    factories.network(params={"NetworkName": factories.NETWORK, "BlockDelaySecs": 3600})
    pool = busy_pool()
    operator_person()
    client = Client()
    client.login(username="olga", password=PASSWORD)
    page = Parts(client.get(addresses(pool)[name]).content.decode())

    frame = fragments_render(
        changes(pool), viewer=watching("pool", is_operator=True, perm="admin"), page=page_keys(pool)[name]
    )

    pushed = Parts(frame)
    assert len(pushed.roots) > 1
    for tag, key in pushed.roots:
        assert key, f"a root <{tag}> without an id"
        assert OOB in pushed.by_id[key][:300]
        assert plain(pushed.by_id[key]) == plain(page.by_id[key])


@pytest.mark.parametrize("name", NAMES)
def test_all_table_parts_come_before_everything_else(name):
    pool = busy_pool()

    frame = fragments_render(changes(pool), viewer=watching(), page=page_keys(pool)[name])

    tags = [tag for tag, _ in Parts(frame).roots]
    assert tags == sorted(tags, key=lambda tag: tag != "tbody")


@pytest.mark.parametrize("name", NAMES)
def test_a_stranger_gets_nothing_of_a_pool(name):
    pool = busy_pool()

    frame = fragments_render(changes(pool), viewer=watching("bob"), page=page_keys(pool)[name])

    for secret in ("alice", pool.miner.address, str(pool.active.uuid), pool.wallet.address):
        assert secret not in frame


def nav_keys() -> list[str]:
    """The pages of the watching person's navigation in its order."""
    return [link.item.key for group in nav_of(PageData(watching())) for link in group.links]


def test_the_head_reaches_every_page():
    factories.head(1000)

    frame = fragments_render({("head", "1000")}, viewer=watching(), page="")

    assert [key for _, key in Parts(frame).roots] == [*FRAME, *(f"f-badge-{key}" for key in nav_keys())]


def test_an_unknown_kind_or_page_makes_no_frame():
    busy_pool()

    assert fragments_render({("weather", "1")}, viewer=watching(), page="today") == ""
    assert fragments_render({("sector", "x")}, viewer=watching(), page="nowhere") == ""


@pytest.mark.usefixtures("shared_reports")
def test_keys_that_are_no_keys_do_no_harm():
    busy_pool()
    kinds = {kind for page in live_pages().values() for kind in (*page.fragments, *page.rows)}

    for page in live_pages():
        for key in ("", "'", "9" * 30, "ü"):
            assert isinstance(
                fragments_render({(kind, key) for kind in kinds}, viewer=watching(), page=f"{page}:{key}"),
                str,
            )


@pytest.mark.parametrize("kind", ["message", "job", "sector", "batch", "deadline"])
def test_a_sectors_page_sleeps_through_what_is_not_its_own(kind):
    pool = busy_pool()

    frame = fragments_render({(kind, "999999")}, viewer=watching(), page=f"sector:{pool.active.uuid}")

    assert frame == ""


def test_a_landed_message_sleeps_through_heads():
    pool = busy_pool()

    frame = fragments_render({("head", "1000")}, viewer=watching(), page=f"message:{pool.landed.id}")

    assert [key for _, key in Parts(frame).roots] == [*FRAME, *(f"f-badge-{key}" for key in nav_keys())]


def test_a_flying_message_is_diagnosed_on_every_head():
    pool = busy_pool()

    frame = fragments_render({("head", "1000")}, viewer=watching(), page=f"message:{pool.flying.id}")

    assert "f-doctor" in Parts(frame).by_id


def test_a_reader_is_offered_no_buttons():
    pool = busy_pool()
    address = reverse("sector-retry", args=[pool.paused.uuid])
    change = {("sector", str(pool.paused.uuid))}

    assert address in fragments_render(change, viewer=watching(perm="sign"), page="sectors")
    assert address not in fragments_render(change, viewer=watching(perm="read"), page="sectors")


def test_a_pushed_fragment_carries_no_token():
    pool = busy_pool()

    frame = fragments_render({("sector", str(pool.paused.uuid))}, viewer=watching(), page="sectors")

    assert "csrfmiddlewaretoken" not in frame


def test_a_frame_of_many_rows_asks_the_database_no_more_often(pool_redis):
    pool = busy_pool()
    rows = {("sector", str(factories.sector(pool.miner).uuid)) for _ in range(40)}

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            fragments_render(rows, viewer=watching(), page="sectors")
        return len(queries)

    assert asked() <= 67, "in tests the first after a change evaluates all checks"
    # The run's web process may send a change of its own between two of them.
    assert min(asked() for _ in range(3)) <= 9


def test_the_mark_is_the_fragments_own():
    assert OOB in fragment("dashboard/_verdict.html", verdict={"strong": "a", "rest": "b"})

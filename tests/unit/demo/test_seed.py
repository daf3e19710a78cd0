"""A small made-up pool: its rows agree with each other, and every page shows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import Q, Sum
from django.test import Client
from django.urls import reverse
from django.utils.translation import override

from apps.blocks.models import PriceReading
from apps.blocks.selectors.accounts import accounts_read
from apps.chain.models import Follower, Network
from apps.checks.states import AlertEntryKind
from apps.core import clock
from apps.core.day_ranges import last_days
from apps.core.reason_fields import reason_columns
from apps.core.reasons import code_of, shown_text
from apps.dashboard.list_page import LISTS as PAGES
from apps.dashboard.registry import live_pages
from apps.market.models import Deal
from apps.market.states import DealState
from apps.messages.models import GasSpend, Message, MessageEvent, SharedRules, Tracker
from apps.messages.states import MessageState
from apps.miners.models import Miner, RewardEstimate
from apps.sectors.models import (
    AllocationsRead,
    PipelineRun,
    Sector,
    SectorChange,
    Store,
    StoreFinding,
    StoreMove,
)
from apps.sectors.states import FindingKind
from apps.users.rules.principals import SYSTEM
from apps.wallets.models import RemoteWallet, Wallet
from poolsite.demo.life import signs_give
from poolsite.demo.seed import demo_seed
from poolsite.demo.world import HEIGHT, SMALL, World
from tests.demo_data import LISTS
from tests.page_client import signed_in
from tests.people import operator_person

pytestmark = pytest.mark.django_db

MARK: Final = "all data are made up"


ONLY_ROWS: Final = (Network, Follower, Tracker, RewardEstimate, SharedRules, PriceReading, AllocationsRead)
"""Tables whose only row the pool looks for by its key."""


@pytest.fixture(scope="module")
def world(module_rows: None) -> World:
    with connection.cursor() as cursor:  # an earlier start was killed while it made them
        for model in ONLY_ROWS:
            cursor.execute("select nextval(pg_get_serial_sequence(%s, 'id'))", [model._meta.db_table])
    return demo_seed(SMALL)


@pytest.fixture(scope="module")
def client(world: World) -> Client:
    operator_person()
    return signed_in("olga")


def addresses(world: World) -> Iterator[str]:
    """Yield each list, and the page of one of everything."""
    yield from (reverse(name) for name in LISTS)
    miner, wallet, tenant_row = world.miners[0], world.wallets[0], world.tenants[0]
    host, store = world.hosts[0], world.stores[0]
    yield from (reverse(name, args=[miner.address]) for name in ("miner", "miner-money", "miner-batches"))
    yield from (reverse("sector", args=[one.uuid]) for one in (world.sectors[0], world.sectors[-1]))
    yield from (reverse("host", args=[one.uuid]) for one in world.hosts)
    yield reverse("store", args=[store.uuid])
    yield reverse("sender", args=[wallet.address])
    yield reverse("tenant-service", args=[tenant_row.uuid])
    yield from (
        reverse("message", args=[pk])
        for pk in Message.objects.exclude(state="LANDED").values_list("pk", flat=True)
    )
    yield reverse("message", args=[world.messages[-1].pk])
    for kind, key in (
        ("miner", miner.address),
        ("host", str(host.uuid)),
        ("store", str(store.uuid)),
        ("wallet", str(wallet.address)),
        ("gas", "all"),
        ("sealing", "all"),
    ):
        yield reverse("trends", args=[kind, key])


def test_every_page_opens_and_is_marked(world: World, client: Client) -> None:
    for path in addresses(world):
        answer = client.get(path)

        assert answer.status_code == 200, path
        assert MARK in answer.content.decode(), path


def test_power_and_pledge_are_those_of_the_sectors(world: World) -> None:
    for miner in Miner.objects.all():
        proven = Sector.objects.filter(miner=miner, state="PROVING")

        assert miner.raw_power == sum(one.sector_size for one in proven if one.active)
        assert miner.pledge == proven.aggregate(sum=Sum("initial_pledge"))["sum"]
        assert miner.balance == miner.available + miner.pledge + miner.deposits + miner.locked
        assert miner.available > 0


def test_gas_is_that_of_the_messages_and_money_has_all_of_it(world: World) -> None:
    paid = Message.objects.filter(state=MessageState.LANDED).aggregate(sum=Sum("gas_cost"))["sum"]
    spent = GasSpend.objects.aggregate(sum=Sum("cost"))["sum"]
    accounts = accounts_read(SYSTEM, last_days(SMALL.days + 2, now=clock.now()))

    assert paid == spent == accounts.total.gas
    assert accounts.total.reward > 0
    assert all(line.other <= 0 for line in accounts.lines)  # fees, and nothing that nobody sent


def test_a_table_with_one_row_has_it_where_the_pool_looks(world: World) -> None:
    assert [list(model._default_manager.values_list("pk", flat=True)) for model in ONLY_ROWS] == [[1]] * 7


def test_a_message_that_landed_has_each_step_once(world: World, client: Client) -> None:
    page = client.get(reverse("message", args=[world.messages[-1].pk])).content.decode()

    assert page.count("Landed in epoch") == 1
    assert not MessageEvent.objects.filter(message__state=MessageState.LANDED).exists()


def test_why_can_be_read_in_chinese(world: World) -> None:
    english = set()
    with override("zh-hans"):
        for model in apps.get_models():
            for name in reason_columns(model):
                for row in model._default_manager.exclude(**{name: ""}):
                    text = getattr(row, name)
                    is_typed = getattr(row, "kind", "") == AlertEntryKind.COMMENTED
                    if not is_typed and not code_of(text) and shown_text(text) == text:
                        english.add((model.__name__, str(text)))

    assert not english


def test_no_balance_was_ever_negative(world: World) -> None:
    assert not Wallet.objects.filter(balance__lt=0).exists()
    for miner in world.miners:
        assert not miner.days.filter(available__lt=0).exists()


def test_signs_of_life_wake_all_but_the_stopped_host(world: World) -> None:
    later = clock.now() + 20 * (clock.now() - world.now)

    signs_give(now=later)

    seen = {one.seen_at for one in world.provers for one in [type(one).objects.get(pk=one.pk)]}
    assert seen == {later}


EMPTY_HERE: Final = {
    "claims": "the few sectors of the small pool have none with verified data",
    "gateway": "connections end after a minute, which a slow test may take",
    "multisigs": "read from the chain, of which there is none",
    "offline": "no signer is here",
    "statements": "the small pool has no whole month",
}
"""Lists that stay empty in the small pool, with the reason."""


def test_every_list_of_the_console_is_seen_with_rows(world: World, client: Client) -> None:
    live_pages()  # which imports all pages
    names = {*LISTS, *(name for name, page in PAGES.items() if "<" not in page.address)}

    empty = set()
    for name in sorted(names - {"planner"}):
        page = client.get(reverse(name)).content.decode()
        if '<div class="empty">' in page:
            empty.add(name)
    assert empty <= set(EMPTY_HERE)


def test_what_is_done_with_sectors_and_miners_is_there_in_every_state(world: World, client: Client) -> None:
    states = {
        model: set(model._default_manager.values_list(column, flat=True))
        for model, column in ((SectorChange, "state"), (PipelineRun, "state"), (StoreMove, "state"))
    }
    assert {"EXTEND_LANDED", "EXTEND_FAILED", "TERMINATE_LANDED"} <= states[SectorChange]
    assert {"SNAPPED", "UPDATE_SENT", "SNAP_ABORTED"} <= states[PipelineRun]
    assert {"MOVED", "COPYING", "FAILED"} <= states[StoreMove]
    assert set(DealState) == set(Deal.objects.values_list("state", flat=True))
    assert set(FindingKind) == set(StoreFinding.objects.values_list("kind", flat=True))
    assert RemoteWallet.objects.count() == 2
    assert not RemoteWallet.objects.filter(is_enabled=True).exists(), "nothing answers at a made-up host"
    assert Miner.objects.filter(works_from__lt=HEIGHT).count() == 1
    assert Miner.objects.filter(works_until__gt=HEIGHT).count() == 1
    touched = Q(changes__isnull=False) | Q(moves__isnull=False) | Q(runs__isnull=False)
    for sector in Sector.objects.filter(touched).distinct():
        assert client.get(reverse("sector", args=[sector.uuid])).status_code == 200
    for store in Store.objects.filter(findings__isnull=False).distinct():
        assert client.get(reverse("store", args=[store.uuid])).status_code == 200

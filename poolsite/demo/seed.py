"""Making up the pool, all at once, in an empty database."""

from __future__ import annotations

import random

from django.db import connection, transaction

from apps.chain.models import Head, Network
from apps.checks.models import ComponentStatus
from apps.core import clock
from apps.miners.models import Miner
from apps.sectors.services.changes.expirations import expirations_count
from apps.users.models import Tenant
from apps.users.states import POOL
from apps.wallets.models import Wallet
from poolsite.demo import (
    alerts,
    blocks,
    changes,
    data,
    figures,
    history,
    hosts,
    messages,
    miners,
    money,
    people,
    proving,
    sectors,
)
from poolsite.demo.errors import DemoRefused
from poolsite.demo.world import HEIGHT, SEED, Scale, World
from poolsite.filecoin.policy import MADE_UP


def emptiness_require() -> None:
    """Refuse a database in which anything is that a real pool has.  Raises DemoRefused.

    Also one that an older version made: of each table a column is read that it always had.
    """
    tables = set(connection.introspection.table_names())
    for found, column, what in (
        (Network.objects.exclude(name=MADE_UP.name), "name", "network"),
        (Tenant.objects.exclude(name=POOL), "name", "tenant"),
        (Miner.objects.all(), "name", "miner"),
        (Wallet.objects.all(), "address", "wallet"),
        (Head.objects.all(), "height", "head of a chain"),
        (ComponentStatus.objects.all(), "component", "record of a component"),
    ):
        if found.model._meta.db_table not in tables:
            continue
        if (name := found.order_by().values_list(column, flat=True).first()) is not None:
            raise DemoRefused(f"this database has a {what}, {name}")


@transaction.atomic
def demo_seed(scale: Scale | None = None) -> World:
    """Make up a pool; all of it or nothing.  Raises DemoRefused where there is anything yet."""
    emptiness_require()
    chance = random.Random(SEED)  # noqa: S311  # the same pool each time
    world = World(now=clock.now().replace(microsecond=0), scale=scale or Scale(), chance=chance)
    miners.chain_make(world)
    people.tenants_make(world)
    people.wallets_make(world)
    hosts.hosts_make(world)
    miners.miners_make(world)
    hosts.stores_make(world)
    sectors.sectors_make(world)
    proving.proving_make(world)
    counted = figures.figures_count(world, HEIGHT)
    blocks.blocks_make(world, counted)
    messages.transfers_make(world)
    messages.withdrawals_make(world, money.withdrawals_plan(world, counted))
    messages.messages_write(world)
    held = money.miners_held(world, counted, planned={})
    money.miners_settle(world, counted, held)
    courses = money.wallets_settle(world)
    messages.senders_make(world)
    messages.unlanded_make(world)
    messages.rules_make(world)
    hosts.stores_fill(world)
    miners.targets_make(world)
    history.history_make(world, counted, held, courses)
    money.prices_make(world)
    money.billing_make(world)
    data.data_make(world)
    changes.changes_make(world)
    expirations_count(now=world.now)
    alerts.alerts_make(world)
    people.provers_connect(world)
    people.signatures_make(world)
    people.audit_make(world)
    return world

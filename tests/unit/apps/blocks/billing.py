"""Tenants that are charged: recorded days of 1,000 epochs each, blocks in them, terms, and a chain so far."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from apps.blocks.models import BillingTerms, Block, Round
from apps.blocks.services.billing_terms import billing_terms_set
from apps.blocks.services.charges import charges_book
from apps.blocks.services.statements import statements_close
from apps.blocks.states import RoundState
from apps.messages.models import Tracker
from apps.miners.models import Miner, MinerDay, MinerTransfer
from apps.users.models import Tenant
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.amounts import FIL
from tests import factories, people

BEGIN: Final = date(2026, 10, 1)
"""The day of height 1000; each has 1,000 epochs."""
FINALITY: Final = 20
TIB: Final = 1 << 40


def midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def height_of(day: date) -> int:
    """Height of a day's first tipset."""
    return 1000 * ((day - BEGIN).days + 1)


def chain_to(height: int) -> None:
    factories.network()
    Tracker.objects.update_or_create(pk=1, defaults={"height": height, "key": factories.cid(f"{height}")})


def days(miner: Miner, first: date, last: date, *, power: int | None = 10 * TIB) -> list[MinerDay]:
    """Record days, both included, and extend the chain so that all before the last one are final."""
    chain_to(height_of(last) + FINALITY)
    return [
        factories.miner_day(miner, began_at=midnight(day), height=height_of(day), qa_power=power)
        for day in (first + timedelta(days=age) for age in range((last - first).days + 1))
    ]


def block(miner: Miner, height: int, *, state: str = RoundState.INCLUDED, **values: Any) -> Block:
    at = midnight(BEGIN) + timedelta(seconds=86.4 * (height - 1000))
    row = Round.objects.create(
        miner=miner, epoch=height, base_height=height - 1, at=at, expected=1.0, win_count=1, state=state
    )
    data = {"reward": 4 * FIL, "penalty": 0, "genesis": "genesis", **values}
    return Block.objects.create(
        actor_id=miner.actor_id or 0,
        height=height,
        parents=f"{miner.actor_id} {height}".encode(),
        unsigned=b"",
        cid=factories.cid(f"block {miner.actor_id} {height}"),
        round=row,
        **data,
    )


def terms(from_day: date, *, of: str = "alice", now: datetime | None = None, **values: Any) -> BillingTerms:
    """Terms as the operator sets them: none of anything that is not named."""
    data = {"reward_percent": Decimal(0), "power_price": 0, "monthly_sum": 0, **values}
    return billing_terms_set(
        principal=SYSTEM, tenant=people.tenant(of), from_day=from_day, now=now or midnight(from_day), **data
    )


def transferred(miner: Miner, *, to: str, at: datetime) -> None:
    """Transfer a miner as `ownership_move` writes it."""
    to_tenant = people.tenant(to)
    MinerTransfer.objects.create(
        miner=miner, from_tenant=miner.tenant, to_tenant=to_tenant, actor="olga", at=at
    )
    miner.tenant = to_tenant
    miner.save(update_fields=["tenant"])


def settle(at: date) -> None:
    """Charge and close as the task does."""
    charges_book()
    statements_close(now=midnight(at))


def total(tenant: Tenant) -> int:
    return sum(int(row.amount) for row in tenant.charges.all())

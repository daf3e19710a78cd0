"""Miners' balances as each day began, wallets' balances, and tenants' charges."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Final

from apps.blocks.models import BillingTerms, Block, DayPrice, PriceReading, Statement
from apps.blocks.services.charges import charges_book
from apps.blocks.services.statements import statements_close
from apps.messages.selectors.miner_money import withdrawn_read
from apps.miners.models import Miner, MinerDay
from apps.wallets.models import Wallet
from poolsite.demo.blocks import share_of
from poolsite.demo.figures import Figures
from poolsite.demo.proving import FAULTY_DAYS
from poolsite.demo.world import (
    CIRCULATING,
    DAY_EPOCHS,
    HEIGHT,
    NETWORK_POWER,
    ONLY,
    SECTOR_BYTES,
    WIN_REWARD,
    World,
    midnight,
    rows_write,
)
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.fixed_point import PRECISION
from poolsite.filecoin.pledge import VESTING_DAYS, daily_fee, fault_fee, locked_reward
from poolsite.filecoin.power import Estimate

FREE: Final = 6 * FIL
"""Available balance with which each miner begins."""
WITHDRAW_EVERY: Final = 13
"""Days between two withdrawals of a miner."""
LEFT_FREE: Final = 3 * FIL
"""The available balance that a withdrawal leaves."""
FLOOR: Final = 6 * FIL
"""The least balance of a wallet."""
CURRENCY: Final = "USD"
REWARD: Final = Estimate(5 * WIN_REWARD << PRECISION)
POWER: Final = Estimate(NETWORK_POWER << PRECISION)


@dataclass(slots=True)
class Held:
    """A miner's balances as each day begins, the newest head last; attoFIL."""

    balance: list[int] = field(default_factory=list)
    locked: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    """In the day before."""
    withdrawn: list[int] = field(default_factory=list)


def withdrawals_plan(world: World, figures: Figures) -> dict[int, dict[int, int]]:
    """Return what is withdrawn by a miner's pk and the day's place: most of what is free every two weeks."""
    held = miners_held(world, figures, planned={})
    plan: dict[int, dict[int, int]] = {}
    for miner in world.miners:
        own, withdrawn = held[miner.pk], 0
        plan[miner.pk] = {}
        for place in range(4 + world.miners.index(miner) % 7, len(world.days) - 2, WITHDRAW_EVERY):
            height = figures.height(place)
            free = own.balance[place] - withdrawn - own.locked[place] - figures.pledge_at(miner.pk, height)
            amount = (free - figures.deposits_at(miner.pk, height) - LEFT_FREE) * 7 // 10
            if amount > FIL // 2:
                plan[miner.pk][place] = amount - amount % (FIL // 100)
                withdrawn += plan[miner.pk][place]
    return plan


def miners_held(world: World, figures: Figures, *, planned: dict[int, dict[int, int]]) -> dict[int, Held]:
    """Return what each miner held, by its pk; `planned` withdrawals are of messages to come."""
    rewards: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for actor_id, height, reward in Block.objects.exclude(reward=None).values_list(
        "actor_id", "height", "reward"
    ):
        rewards[actor_id].append((height, int(reward or 0)))
    moved: defaultdict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for message in world.messages:
        if message.exit_code == 0 and message.to.startswith("f0"):
            paid = (
                withdrawn_read(bytes(message.return_data)) if message.method == Method.WITHDRAW_BALANCE else 0
            )
            if message.value or paid:
                moved[message.to].append((message.height, int(message.value), paid))
    found = {}
    for miner in world.miners:
        found[miner.pk] = _held(
            world, figures, miner, rewards[miner.actor_id or 0], moved[miner.address], planned
        )
    return found


def _held(
    world: World,
    figures: Figures,
    miner: Miner,
    rewards: list[tuple[int, int]],
    moved: list[tuple[int, int, int]],
    planned: dict[int, dict[int, int]],
) -> Held:
    edges = [figures.height(place) for place in range(len(world.days))] + [HEIGHT]
    places = len(edges)
    earned, incoming, went = [0] * places, [0] * places, [0] * places
    for height, reward in rewards:
        place = bisect_right(edges, height)
        if place < places:
            earned[place] += reward
    for height, value, paid in moved:
        place = bisect_right(edges, height)
        if place < places:
            incoming[place] += value
            went[place] += paid
    at_begin = share_of(figures.power(miner.pk, 0)) * DAY_EPOCHS * WIN_REWARD
    earlier = int(at_begin * 0.75 * VESTING_DAYS / 2)
    held = Held(received=incoming, withdrawn=went)
    balance = figures.pledge_at(miner.pk, edges[0]) + earlier + FREE
    for place, edge in enumerate(edges):
        if place:
            span = edge - edges[place - 1]
            fee = int(daily_fee(figures.power_at(miner.pk, edges[place - 1]), CIRCULATING))
            balance += earned[place] + incoming[place] - went[place] - fee * span // DAY_EPOCHS
            if places - 1 - place < FAULTY_DAYS:
                faulty = figures.courses[miner.pk].faulty * SECTOR_BYTES
                balance -= int(fault_fee(REWARD, POWER, faulty)) * span // DAY_EPOCHS
            balance -= planned.get(miner.pk, {}).get(place - 1, 0)
        locked = earlier * max(VESTING_DAYS - place, 0) ** 2 // VESTING_DAYS**2
        for height, reward in rewards:
            age = (edge - height) // DAY_EPOCHS
            if 0 <= age < VESTING_DAYS and height < edge:
                locked += int(locked_reward(reward)) * (VESTING_DAYS - age) // VESTING_DAYS
        held.balance.append(balance)
        held.locked.append(locked)
    return held


def miners_settle(world: World, figures: Figures, held: dict[int, Held]) -> None:
    """Write each miner's days, and what it has now."""
    rows = []
    for miner in world.miners:
        own = held[miner.pk]
        for place, day in enumerate(world.days):
            height = figures.height(place)
            pledge, deposits = figures.pledge_at(miner.pk, height), figures.deposits_at(miner.pk, height)
            rows.append(
                MinerDay(
                    miner=miner,
                    day=day,
                    began_at=midnight(day),
                    height=height,
                    balance=own.balance[place],
                    available=own.balance[place] - pledge - deposits - own.locked[place],
                    pledge=pledge,
                    deposits=deposits,
                    locked=own.locked[place],
                    fee_debt=0,
                    qa_power=figures.power_at(miner.pk, height),
                    received=own.received[place],
                    withdrawn=own.withdrawn[place],
                )
            )
        course = figures.courses[miner.pk]
        miner.live_sectors = figures.sectors_at(miner.pk, HEIGHT)
        miner.faulty_sectors = course.faulty
        miner.active_sectors = miner.live_sectors - miner.faulty_sectors
        from_faults = miner.faulty_sectors * miner.sector_size
        miner.raw_power = miner.live_sectors * miner.sector_size - from_faults
        miner.qa_power = figures.power_at(miner.pk, HEIGHT) - from_faults
        miner.pledge = figures.pledge_at(miner.pk, HEIGHT)
        miner.deposits = figures.deposits_at(miner.pk, HEIGHT)
        miner.balance, miner.locked = own.balance[-1], own.locked[-1]
        miner.available = miner.balance - miner.pledge - miner.deposits - miner.locked
        miner.save()
    rows_write(MinerDay, rows)


@dataclass(slots=True)
class WalletCourse:
    """A wallet's balance after each time that it changed."""

    times: list[datetime]
    balances: list[int]
    first: int

    def at(self, moment: datetime) -> int:
        """Return the balance at a moment, in attoFIL."""
        place = bisect_right(self.times, moment)
        return self.balances[place - 1] if place else self.first


def wallets_settle(world: World) -> dict[int, WalletCourse]:
    """Write the wallets' balances and nonces; return each one's course by its pk."""
    changes: defaultdict[str, list[tuple[datetime, int]]] = defaultdict(list)
    for message in world.messages:
        at = message.landed_at or world.now
        value = int(message.value) if message.exit_code == 0 else 0
        changes[message.from_addr].append((at, -int(message.gas_cost) - value))
        if message.method == 0:
            changes[message.to].append((at, value))
        elif message.method == Method.WITHDRAW_BALANCE:
            changes[message.from_addr].append((at, withdrawn_read(bytes(message.return_data))))
    courses = {}
    for wallet in world.wallets:
        own = sorted(changes[str(wallet.address)], key=lambda one: one[0])
        sums = list(accumulate(amount for _, amount in own))
        first = max(-min([0, *sums]), 0) + FLOOR + world.chance.randrange(4 * FIL)
        courses[wallet.pk] = WalletCourse([at for at, _ in own], [first + one for one in sums], first)
        wallet.balance = first + (sums[-1] if sums else 0)
        if own:
            wallet.moved_at = own[-1][0]
    Wallet.objects.bulk_update(world.wallets, ["balance", "nonce", "moved_at"])
    return courses


def billing_make(world: World) -> None:
    """Set terms, charge what is settled, and mark some statements as paid."""
    for place, tenant in enumerate(world.tenants):
        BillingTerms.objects.create(
            tenant=tenant,
            from_day=world.first_day,
            reward_percent=Decimal("12.5") - place,
            power_price=FIL // 2_000 if place % 2 else 0,
            monthly_sum=(1 + place % 3) * FIL // 2,
            actor="operator",
            created_at=midnight(world.first_day),
        )
    charges_book()
    statements_close(now=world.now)
    rows = list(Statement.objects.order_by("month", "pk"))
    last = max((one.month for one in rows), default=world.first_day)
    for place, row in enumerate(rows):
        if row.month < last or place % 3 == 0:
            row.paid_at = row.closed_at = midnight(_later(row.month, 34)) + timedelta(hours=10)
            row.paid_at = min(row.paid_at, world.now)
            row.payment = f"transfer {row.month:%Y-%m} {row.tenant.name}"
        row.closed_at = min(midnight(_later(row.month, 32)) + timedelta(hours=8), world.now)
    Statement.objects.bulk_update(rows, ["paid_at", "payment", "closed_at"])


def _later(day: date, days: int) -> date:
    return day + timedelta(days=days)


def prices_make(world: World) -> None:
    """Write what a FIL was worth on each day."""
    rows = []
    for place, day in enumerate(world.days):
        wave = 0.35 * math.sin(place / 11) + 0.12 * math.sin(place / 3.1)
        rows.append(DayPrice(day=day, currency=CURRENCY, price=Decimal(round(2.6 + wave + place * 0.004, 3))))
    rows_write(DayPrice, rows)
    PriceReading.objects.create(pk=ONLY, tried_at=world.now, read_at=world.now)

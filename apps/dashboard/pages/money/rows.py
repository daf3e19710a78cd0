"""The rows of *Money*: miners with what is of none of them, a miner's days, tenants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext

from apps.blocks.selectors.accounts import Account, Accounts
from apps.blocks.selectors.money import MinerMoney, MoneyLine, lines_sum
from apps.blocks.selectors.prices import Prices
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.money.worth import worth_text

FIGURES: Final = ("reward", "penalty", "deals", "other", "received", "withdrawn", "closing")
"""Fields of a line that are shown, beside gas and net."""


@dataclass(frozen=True, slots=True)
class MoneyRow:
    """One row of the table of miners or days."""

    key: str
    name: str
    figures: dict[str, int | None]
    """attoFIL; None: nothing says so."""
    unknown_rewards: int = 0
    sub: str = ""
    href: str = ""
    worth: str = ""
    """Its net in the operator's currency; empty where no source of prices is set."""


def money_row(
    line: MoneyLine | None,
    *,
    more_gas: int = 0,
    key: str,
    name: str,
    sub: str = "",
    href: str = "",
    worth: str = "",
) -> MoneyRow:
    """Return a row of a line, and of gas that is in none."""
    gas = more_gas + (0 if line is None else line.gas)
    net = (0 if line is None else line.net) - more_gas
    known = {figure: None if line is None else int(getattr(line, figure)) for figure in FIGURES}
    unknown = 0 if line is None else line.unknown_rewards
    return MoneyRow(key, name, {**known, "gas": gas, "net": net}, unknown, sub, href, worth)


def miner_rows(
    accounts: Accounts, data: PageData, *, query: dict[str, str], prices: Prices
) -> list[MoneyRow]:
    """Return the miners, those with the largest net first, and what is of no miner."""
    seen = {miner.pk for miner in data.miners}
    rows = []
    for pk, money in accounts.by_miner.items():
        miner = accounts.miners[pk]
        href = f"{reverse('miner-money', args=[miner.address])}?{urlencode(query)}"
        rows.append(
            money_row(
                lines_sum(money.lines) if money.lines else None,
                more_gas=money.gas_unrecorded,
                key=miner.address,
                name=(pk in seen and miner.name) or miner.address,
                sub="" if money.lines else gettext("only gas: no day is recorded"),
                href=href if pk in seen and miner.address else "",
                worth=worth_text(prices, money.net_by_day) if prices.currency else "",
            )
        )
    rows.sort(key=lambda row: -(row.figures["net"] or 0))
    if accounts.elsewhere:
        sub = gettext("transfers, new miners, acts of multisigs, miners that are gone")
        lost = {day: -cost for day, cost in accounts.gas_elsewhere.items()}
        rows.append(
            money_row(
                None,
                more_gas=accounts.elsewhere,
                key="elsewhere",
                name=gettext("Not of a miner"),
                sub=sub,
                worth=worth_text(prices, lost),
            )
        )
    return rows


def day_rows(money: MinerMoney, *, prices: Prices) -> list[MoneyRow]:
    """Return a miner's days, the newest first, and the gas of days before the first one."""
    rows = [
        money_row(
            line,
            key=(day := line.day.isoformat()),
            name=day,
            sub=span_text(line),
            worth=worth_text(prices, {line.day: line.net}),
        )
        for line in money.lines
    ]
    if money.gas_unrecorded:
        lost = {day: -cost for day, cost in money.gas_by_day.items()}
        rows.append(
            money_row(
                None,
                more_gas=money.gas_unrecorded,
                key="unrecorded",
                name=gettext("Not recorded"),
                sub=gettext("only gas: no day is recorded"),
                worth=worth_text(prices, lost),
            )
        )
    return rows


def span_text(line: MoneyLine) -> str:
    """Return from when to when a day's line counts."""
    begin = f"{line.begin:%H:%M}"
    if line.end is None:
        return gettext("{begin} UTC to now").format(begin=begin)
    is_next = line.end.date() == line.day + timedelta(days=1)
    end = f"{line.end:%H:%M}" if is_next else f"{line.end:%Y-%m-%d %H:%M}"
    return gettext("{begin} to {end} UTC").format(begin=begin, end=end)


def total_row(rows: Sequence[MoneyRow], *, closing: int | None, worth: str) -> MoneyRow | None:
    """Return the last row of a table that has several."""
    if len(rows) < 2:
        return None
    figures = {name: _added(row.figures[name] for row in rows) for name in rows[0].figures}
    unknown = sum(row.unknown_rewards for row in rows)
    return MoneyRow("all", gettext("All"), figures | {"closing": closing}, unknown, worth=worth)


def _added(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def account_of_lines(money: Iterable[MinerMoney]) -> Account:
    """Return the account of some miners alone, with the gas of the messages that called them."""
    found = Account()
    for one in money:
        for line in one.lines:
            found.line_add(line)
            found.gas_add(line.gas, day=line.day)
        for day, cost in one.gas_by_day.items():
            found.gas_add(cost, day=day)
    return found


def closing_of(money: Iterable[MinerMoney]) -> int | None:
    """Return the balances of miners together as their newest lines end; None where none has one."""
    newest = [one.lines[0].closing for one in money if one.lines]
    return sum(newest) if newest else None


@dataclass(frozen=True, slots=True)
class TenantRow:
    """One tenant, the pool itself, or all."""

    key: str
    name: str
    account: Account
    worth: str
    """Its net in the operator's currency; empty where no source of prices is set."""
    href: str = ""


def tenant_rows(accounts: Accounts, *, query: dict[str, str], prices: Prices) -> list[TenantRow]:
    """Return the tenants by name, then the pool itself."""
    rows = [
        TenantRow(
            str(pk),
            name := accounts.tenants[pk],
            account,
            worth_text(prices, account.net_by_day),
            f"{reverse('money')}?{urlencode({'tenant': name, **query})}",
        )
        for pk, account in accounts.by_tenant.items()
        if pk is not None
    ]
    rows.sort(key=lambda row: row.name)
    if (own := accounts.by_tenant.get(None)) is not None:
        worth = worth_text(prices, own.net_by_day)
        rows.append(TenantRow("pool", gettext("the pool itself"), own, worth))
    return rows

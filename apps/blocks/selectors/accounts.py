"""What tenants earned and cost over some days, so that every attoFIL of gas is somebody's.

Rewards, penalties and fees are those of miners, for whoever had the miner as the day began; gas is of whoever
sent the message, whatever it called.  So the sums are those of *Gas* and *Senders*.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

from django.db.models import Sum

from apps.blocks.selectors.billing import charges_visible
from apps.blocks.selectors.money import MinerMoney, MoneyLine, gas_parts, money_by_miner
from apps.core.day_ranges import DayRange
from apps.miners.models import Miner
from apps.miners.selectors.days import miners_owned, owners_read
from apps.miners.selectors.miners import miners_visible
from apps.users.models import Tenant
from apps.users.rules.principals import Principal
from apps.users.selectors.tenants import tenants_visible


@dataclass(slots=True, kw_only=True)
class Account:
    """Earnings and costs of one tenant, or of the pool itself, in some days; amounts in attoFIL."""

    reward: int = 0
    """Block rewards, tips included."""
    penalty: int = 0
    """Of blocks."""
    blocks: int = 0
    """Whose reward is known."""
    unknown_rewards: int = 0
    """Blocks whose reward is not known."""
    deals: int = 0
    """Clients' fees of its miners' active deals, settled or not."""
    gas: int = 0
    """Burnt and paid for all its messages that landed, those to no miner, too."""
    fees: int = 0
    """Other money that left its miners: burnt by the chain, or moved by other programs."""
    charge: int = 0
    """Charged by the pool; negative for the pool itself, which is owed it."""
    net_by_day: defaultdict[date, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def cost(self) -> int:
        """Return what it cost, but for what the pool charged."""
        return self.penalty + self.gas + self.fees

    @property
    def net(self) -> int:
        """Return what is left."""
        return self.reward + self.deals - self.cost - self.charge

    def line_add(self, line: MoneyLine) -> None:
        """Add a miner's line, but for its gas: who sent the messages paid it."""
        self.reward += line.reward
        self.penalty += line.penalty
        self.blocks += line.blocks
        self.unknown_rewards += line.unknown_rewards
        self.deals += line.deals
        self.fees += line.other_cost
        self.net_by_day[line.day] += line.reward + line.deals - line.penalty - line.other_cost

    def gas_add(self, cost: int, *, day: date) -> None:
        """Add what a day's messages cost."""
        self.gas += cost
        self.net_by_day[day] -= cost

    def charge_add(self, amount: int, *, day: date) -> None:
        """Add what was charged for a day."""
        self.charge += amount
        self.net_by_day[day] -= amount

    def plus(self, other: Account) -> Account:
        """Return both together."""
        names = ("reward", "penalty", "blocks", "unknown_rewards", "deals", "gas", "fees", "charge")
        found = Account(**{name: getattr(self, name) + getattr(other, name) for name in names})
        for account in (self, other):
            for day, net in account.net_by_day.items():
                found.net_by_day[day] += net
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """The money of some days: of each miner, of what is of no miner, and of each tenant."""

    days: DayRange
    miners: dict[int, Miner]
    """By pk: those with a line or gas."""
    present: list[Miner]
    """Those that are its now, with or without a line."""
    by_miner: dict[int, MinerMoney]
    """By the miner's pk, of the days on which it was the tenant's."""
    gas_elsewhere: dict[date, int]
    """attoFIL by day of gas that is not of a miner: transfers, creations, multisigs, miners that left."""
    tenants: dict[int, str]
    """Names by pk."""
    by_tenant: dict[int | None, Account]
    """By the tenant's pk; None: the pool itself, which gets what is charged."""

    @property
    def elsewhere(self) -> int:
        """Return the gas that is not of a miner."""
        return sum(self.gas_elsewhere.values())

    @property
    def total(self) -> Account:
        """Return all of it: what tenants are charged is what the pool gets."""
        found = Account()
        for account in self.by_tenant.values():
            found = found.plus(account)
        return found

    @property
    def lines(self) -> list[MoneyLine]:
        """Return the lines of all miners."""
        return [line for one in self.by_miner.values() for line in one.lines]


def accounts_read(viewer: Principal, days: DayRange, *, tenant: Tenant | None = None) -> Accounts:
    """Return the money of some days, of one tenant or of all that the viewer sees.

    The viewer's own tenant where it sees no other.
    """
    tenant = tenant or (None if viewer.is_operator else tenants_visible(viewer).first())
    gas = gas_parts(viewer, days, tenant=tenant)
    miners = _miners(viewer, tenant)
    owners = owners_read(miners)
    money: dict[int, MinerMoney] = {}
    by_tenant: defaultdict[int | None, Account] = defaultdict(Account)
    for pk, one in money_by_miner(miners, days=days, gas=gas).items():
        lines: list[MoneyLine] = []
        paid = Counter(one.gas_by_day)
        for line in one.lines:
            owner = owners.on(pk, line.day)
            if tenant is None or owner == tenant.pk:
                by_tenant[owner].line_add(line)
                lines.append(line)
            else:
                paid[line.day] += line.gas
        of_own = MinerMoney(lines, paid)
        if lines or of_own.gas:
            money[pk] = of_own
    for part in gas:
        by_tenant[part.tenant_id].gas_add(part.cost, day=part.day)
    for tenant_pk, day, amount in _charges(viewer, days, tenant=tenant):
        by_tenant[tenant_pk].charge_add(amount, day=day)
        if tenant is None and viewer.sees_pool:
            by_tenant[None].charge_add(-amount, day=day)
    of_miners = {name for miner in miners for name in miner.names}
    elsewhere: Counter[date] = Counter()
    for part in gas:
        if part.to not in of_miners:
            elsewhere[part.day] += part.cost
    return Accounts(
        days=days,
        miners={miner.pk: miner for miner in miners if miner.pk in money},
        present=[miner for miner in miners if tenant is None or miner.tenant_id == tenant.pk],
        by_miner=money,
        gas_elsewhere=dict(elsewhere),
        tenants=_names(by_tenant),
        by_tenant=dict(by_tenant),
    )


def _miners(viewer: Principal, tenant: Tenant | None) -> Sequence[Miner]:
    rows = miners_visible(viewer) if tenant is None else miners_owned(tenant.pk)
    if viewer.miners:
        rows = rows.filter(actor_id__in=viewer.miners)
    return list(rows)


def _charges(viewer: Principal, days: DayRange, *, tenant: Tenant | None) -> Iterable[tuple[int, date, int]]:
    """Yield what tenants were charged, by day."""
    rows = charges_visible(viewer).filter(day__gte=days.first, day__lte=days.last)
    if tenant is not None:
        rows = rows.filter(tenant=tenant)
    summed = rows.order_by().values_list("tenant", "day").annotate(sum=Sum("amount"))
    yield from ((pk, day, int(amount)) for pk, day, amount in summed)


def _names(keys: Iterable[int | None]) -> dict[int, str]:
    known = [key for key in keys if key is not None]
    return dict(Tenant.objects.filter(pk__in=known).values_list("pk", "name"))

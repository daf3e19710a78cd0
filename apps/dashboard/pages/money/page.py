"""Money: what tenants and miners earned and cost over some days; and one miner's days, with CSV of both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.blocks.selectors.accounts import Account, Accounts, accounts_read
from apps.blocks.selectors.billing import tenants_billed
from apps.blocks.selectors.money import MinerMoney, MoneyLine, cost_per_power, money_of
from apps.blocks.selectors.prices import Prices, prices_on
from apps.core import formatting
from apps.core.errors import DomainError
from apps.core.formatting import plural
from apps.core.languages import list_text
from apps.dashboard.cards import Fact, Stat
from apps.dashboard.csv_export import Download, csv_answer
from apps.dashboard.day_spans import Period, period_read
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.money.course import money_charts
from apps.dashboard.pages.money.rows import (
    TenantRow,
    account_of_lines,
    closing_of,
    day_rows,
    miner_rows,
    tenant_rows,
    total_row,
)
from apps.dashboard.pages.money.worth import unpriced_text, worth_text
from apps.dashboard.registry import NavItem
from apps.dashboard.scope import scope_chosen
from apps.dashboard.sessions import sign_in_required
from apps.market.selectors.earnings import payments_of
from apps.miners.selectors.miners import miner_get
from apps.sectors.selectors.exposure import exposure_of
from apps.users.rules.principals import Principal
from poolsite.filecoin.amounts import fil_format

if TYPE_CHECKING:
    from apps.miners.models import Miner
    from apps.users.models import Tenant

DAYS: Final = (1, 7, 30, 90, 365)
DAYS_USUAL: Final = 30
AMOUNTS: Final = (
    *("opening", "closing", "reward", "penalty", "deals"),
    *("received", "withdrawn", "other", "gas", "net"),
)
COLUMNS: Final = (
    "miner",
    "day",
    "begin",
    "end",
    "blocks",
    "unknown_rewards",
    *(f"{name}_atto" for name in AMOUNTS),
    "miner_name",
    *(f"{name}_fil" for name in AMOUNTS),
)
"""Of the days as CSV."""


def period_of(request: HttpRequest, data: PageData) -> Period:
    """Return the days that are asked for."""
    return period_read(request, choices=DAYS, usual=DAYS_USUAL, now=data.at)


def tenant_of(request: HttpRequest, viewer: Principal) -> Tenant | None:
    """Return the tenant to whom the address narrows the page.  Raises Http404."""
    name = request.GET.get("tenant", "")[:100]
    if not name:
        return None
    found = tenants_billed(viewer).filter(name=name).first()
    if found is None:
        raise Http404
    return found


def money_stats(
    account: Account, *, is_of_tenant: bool, url: str, worth: str, is_of_miner: bool = False
) -> Iterable[Stat]:
    """Yield what came in and what it cost as tiles."""
    sent = (
        gettext("of messages that call the miner") if is_of_miner else gettext("of all messages that landed")
    )
    blocks = plural(account.blocks, "block")
    if account.unknown_rewards:
        unknown = gettext("{blocks} not known yet").format(blocks=plural(account.unknown_rewards, "block"))
        blocks = list_text((blocks, unknown))
    cells = [
        (
            "reward",
            gettext("Rewards less penalties"),
            account.reward - account.penalty,
            blocks,
            reverse("blocks"),
        ),
        ("gas", gettext("Gas"), -account.gas, sent, reverse("gas")),
        ("fees", gettext("Fees and others"), -account.fees, gettext("burnt, or moved elsewhere"), url),
    ]
    if account.deals:
        paid = gettext("fees of active deals, settled or not")
        cells.insert(1, ("deals", gettext("Deals"), account.deals, paid, reverse("deals")))
    if is_of_tenant:
        cells.append(
            ("charge", gettext("Charges"), -account.charge, gettext("by the pool"), reverse("charges"))
        )
    cells.append(("net", gettext("Net"), account.net, worth or gettext("rewards and deals less costs"), url))
    for key, label, atto, foot, href in cells:
        value, unit = formatting.amount_short(atto)
        yield Stat(f"money-{key}", label, value, foot, href, unit=unit)


@require_safe
@sign_in_required
def money(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return what each tenant and each miner earned and cost, of one tenant or of all."""
    data, url = PageData(viewer), reverse("money")
    period, tenant = period_of(request, data), tenant_of(request, viewer)
    if address := request.GET.get("miner", "")[:100]:
        query = {**period.query, **scope_chosen(request)}
        return redirect(f"{reverse('miner-money', args=[address])}?{urlencode(query)}")
    scope = {} if tenant is None else {"tenant": tenant.name}
    accounts = accounts_read(viewer, period.days, tenant=tenant)
    is_pool, total, prices = viewer.sees_pool and tenant is None, accounts.total, prices_on(period.days)
    tenants = tenant_rows(accounts, query=period.query, prices=prices) if is_pool else []
    rows = miner_rows(accounts, data, query=period.query, prices=prices)
    miners, shown = list(accounts.miners.values()), list(accounts.by_miner.values())
    title = _("Money") if tenant is None else gettext("Money of {tenant}").format(tenant=tenant.name)
    worth = worth_text(prices, total.net_by_day)
    is_of_tenant = not is_pool and not viewer.is_partial
    stats = money_stats(total, is_of_tenant=is_of_tenant, url=url, worth=worth)
    return page_render(
        request,
        "money/page.html",
        title=title,
        section="money",
        scoped=("tenant", "miner"),
        page_key="money",
        data=data,
        tenant=tenant,
        heading=gettext("By miner"),
        first=gettext("Miner"),
        until=read_until(miners, shown, period),
        tenants=tenants,
        all_tenants=TenantRow("all", gettext("All"), total, worth) if len(tenants) > 1 else None,
        rows=rows,
        total=total_row(rows, closing=closing_of(shown), worth=_before_charges(accounts, prices)),
        unpriced=unpriced_text(prices, [day for day, net in total.net_by_day.items() if net]),
        facts=list(exposure_facts(accounts.present, accounts.lines, data)),
        stats=list(stats) if accounts.by_tenant else [],
        charts=money_charts(shown, more_gas=accounts.gas_elsewhere, net_by_day=total.net_by_day),
        span=period,
        spans=period.facets(url, choices=DAYS, **scope),
        csv=f"{reverse('money-csv')}?{urlencode(period.query | scope)}",
    )


@require_safe
@sign_in_required
def miner_money(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Return one miner's days."""
    try:
        miner = miner_get(viewer, address)
    except DomainError:
        raise Http404 from None
    data = PageData(viewer)
    period = period_of(request, data)
    url, names = reverse("miner-money", args=[miner.address or miner.uuid]), {address, miner.address}
    found = money_of(miner, viewer=viewer, days=period.days)
    prices = prices_on(period.days)
    rows = day_rows(found, prices=prices)
    account = account_of_lines([found])
    worth = worth_text(prices, account.net_by_day)
    stats = money_stats(account, is_of_tenant=False, url=url, worth=worth, is_of_miner=True)
    return page_render(
        request,
        "money/page.html",
        title=gettext("Money of {miner}").format(miner=miner.name or miner.address),
        section="money",
        scoped=("miner",) if names & {scope_chosen(request).get("miner")} else (),
        page_key="money",
        data=data,
        miner=miner,
        heading=gettext("By day"),
        first=gettext("Day (UTC)"),
        until=read_until([miner], [found], period),
        rows=rows,
        total=total_row(rows, closing=closing_of([found]), worth=worth),
        unpriced=unpriced_text(prices, [day for day, net in account.net_by_day.items() if net]),
        facts=list(exposure_facts([miner], found.lines, data)),
        stats=list(stats) if rows else [],
        charts=money_charts([found], more_gas={}, net_by_day=account.net_by_day),
        span=period,
        spans=period.facets(url, choices=DAYS),
        csv=f"{reverse('money-csv')}?{urlencode(period.query | {'miner': miner.address})}",
    )


def _before_charges(accounts: Accounts, prices: Prices) -> str:
    """Return what the miners' net and the gas of none of them were worth."""
    if not prices.currency:
        return ""
    found: Counter[date] = Counter()
    for money in accounts.by_miner.values():
        found.update(money.net_by_day)
    found.subtract(accounts.gas_elsewhere)
    return worth_text(prices, found)


def exposure_facts(miners: Sequence[Miner], lines: Sequence[MoneyLine], data: PageData) -> Iterable[Fact]:
    """Yield what deals earned, what power cost, and what the live sectors of miners owe now."""
    each = cost_per_power(lines, now=data.at)
    unknown = gettext("not known: no day with power is recorded")
    payments = payments_of(miners)
    if payments.earned:
        text = gettext("{earned} in all; {settled} of it is in the market balance, {rest} is not settled yet")
        amounts = {"earned": payments.earned, "settled": payments.settled, "rest": payments.unsettled}
        figures = text.format(**{name: formatting.amount_text(atto) for name, atto in amounts.items()})
        yield Fact(_("Earned by deals"), figures)
    yield Fact(
        _("Cost of a TiB of QA power and day"), unknown if each is None else formatting.amount_text(each)
    )
    if data.head is None or data.reward is None:
        yield Fact(_("Fees and end of live sectors"), gettext("not known: no node has answered yet"))
        return
    owed = exposure_of(miners, reward=data.reward, height=data.head.height)
    ends = gettext("{amount} for {sectors}").format(
        amount=formatting.amount_text(owed.termination), sectors=plural(owed.sectors, "sector")
    )
    yield Fact(_("Fee for ending all live sectors now"), ends)
    if owed.daily_fees is None or owed.fees_to_end is None:
        yield Fact(_("Daily fees"), gettext("not known: no node has told the circulating supply"))
        return
    fees = gettext("{daily} per day, {all} until all have expired, at the present supply").format(
        daily=formatting.amount_text(owed.daily_fees), all=formatting.amount_text(owed.fees_to_end)
    )
    yield Fact(_("Daily fees"), fees)


def read_until(miners: Sequence[Miner], money: Sequence[MinerMoney], period: Period) -> int | None:
    """Return up to which epoch the lines of miners are read; None for days that are over."""
    if not period.reaches_today or not any(one.lines for one in money):
        return None
    return min(miner.refreshed_height for miner in miners)


@require_safe
@sign_in_required
def money_csv(request: HttpRequest, viewer: Principal) -> Download:
    """Return the days as CSV, of one miner, of a tenant, or of all."""
    data = PageData(viewer)
    days, tenant = period_of(request, data).days, tenant_of(request, viewer)
    if address := request.GET.get("miner", ""):
        try:
            miner = miner_get(viewer, address)
        except DomainError:
            raise Http404 from None
        found, elsewhere = [(miner, money_of(miner, viewer=viewer, days=days))], {}
    else:
        accounts = accounts_read(viewer, days, tenant=tenant)
        found = [(accounts.miners[pk], one) for pk, one in accounts.by_miner.items()]
        elsewhere = accounts.gas_elsewhere
    names = {miner.pk: miner.name for miner in data.miners}
    cells = [
        *(cells_of(miner, line, name=names.get(miner.pk, "")) for miner, one in found for line in one.lines),
        *(
            gas_cells(miner.address, day, cost, name=names.get(miner.pk, ""))
            for miner, one in found
            for day, cost in sorted(one.gas_by_day.items(), reverse=True)
        ),
        *(gas_cells("", day, cost) for day, cost in sorted(elsewhere.items(), reverse=True)),
    ]
    return csv_answer("money.csv", COLUMNS, cells)


def cells_of(miner: Miner, line: MoneyLine, *, name: str) -> Sequence[Any]:
    """Return one line's cells."""
    amounts = [int(getattr(line, amount)) for amount in AMOUNTS]
    return (
        miner.address,
        line.day.isoformat(),
        line.begin.isoformat(),
        "" if line.end is None else line.end.isoformat(),
        line.blocks,
        line.unknown_rewards,
        *amounts,
        name,
        *(fil_format(amount, unit="") for amount in amounts),
    )


def gas_cells(address: str | None, day: date, cost: int, *, name: str = "") -> Sequence[Any]:
    """Return the cells of a day's gas that is in no line; without an address it is of no miner."""
    amounts = [{"gas": cost, "net": -cost}.get(amount) for amount in AMOUNTS]
    written = ["" if amount is None else fil_format(amount, unit="") for amount in amounts]
    known = ["" if amount is None else amount for amount in amounts]
    return address, day.isoformat(), "", "", 0, 0, *known, name, *written


NAV: Final = NavItem("money", _("Money"), "money", place=(5, 4), jump="f")
urlpatterns: Final = [
    path("money/", money, name="money"),
    path("money.csv", money_csv, name="money-csv"),
    path("miners/<str:address>/money/", miner_money, name="miner-money"),
]

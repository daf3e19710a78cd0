"""Pledging: the form, what it would cost, and the new sectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.chain.client import chain_client
from apps.core import formatting
from apps.core.clock import now
from apps.core.errors import BadValue, DomainError
from apps.core.formatting import plural
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.forms import PageForm, Text, form_render, new_key
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.sectors.countdown import has_sealing_host
from apps.dashboard.pickers import miner_label, picker
from apps.dashboard.sessions import sign_in_required
from apps.miners.errors import MinerUnknown
from apps.miners.onchain import numbers_allocated
from apps.miners.selectors import miner_get
from apps.sectors.policy import sealing_policy
from apps.sectors.services.sealing.pledge import pledge_create
from apps.sectors.services.sealing.prices import paying_of, pledge_price

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.dashboard.page_data import Names
    from apps.miners.models import Miner
    from apps.sectors.services.batches.miner_funds import Funds
    from apps.sectors.services.sealing.prices import Paying, PledgePrice
    from apps.users.principals import Principal


GUESSED: Final = "a guess: no batches of this miner have landed yet"
LEARNT: Final = "based on its latest batches, at the current base fee"


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One part of the price."""

    what: str
    sub: str
    each: str
    all: str
    is_sum: bool = False


@dataclass(frozen=True, slots=True)
class PayerRow:
    """Whether an address can pay."""

    name: str
    short: str
    tone: str
    word: str
    say: str


@dataclass(frozen=True, slots=True)
class PriceCard:
    """The whole of it; with `error` nothing is known."""

    rows: tuple[PriceRow, ...] = ()
    payers: tuple[PayerRow, ...] = ()
    count: int = 1
    say: str = ""
    error: str = ""


def price_card(
    price: PledgePrice, paying: Paying, *, count: int, miner: Miner, names: Names, say: str
) -> PriceCard:
    """Lay out the price of `count` sectors."""
    return PriceCard(
        rows=tuple(price_rows(price, count=count)),
        payers=tuple(payer_rows(price, paying, count=count, miner=miner, names=names)),
        count=count,
        say=say,
    )


def price_rows(price: PledgePrice, *, count: int) -> Iterable[PriceRow]:
    """Return the parts, then the sum, then what is paid day by day."""

    def row(what: str, sub: str, atto: int, *, is_sum: bool = False) -> PriceRow:
        each, whole = formatting.amounts_text(atto, atto * count)
        return PriceRow(what, sub, each, whole, is_sum)

    yield row("Deposit", "with the pre-commit; counts towards the pledge", price.deposit)
    topup = "with the commit, margin included" if price.topup else "the deposit covers it"
    yield row("Remaining pledge", topup, price.topup)
    yield row(
        "Gas",
        gettext("two messages, burnt; {guessed}").format(guessed=GUESSED if price.is_guess else LEARNT),
        price.gas,
    )
    yield row("Total", "locked plus burnt", price.locked + price.gas, is_sum=True)
    yield row("Daily fee, at most", "charged to the miner in each proving period", price.daily_fee)


def payer_rows(
    price: PledgePrice, paying: Paying, *, count: int, miner: Miner, names: Names
) -> Iterable[PayerRow]:
    """Return what the miner's own balance pays, which goes first, then what remains of each address."""
    if price.is_sent:
        yield _balance_row(paying.funds(count), free=paying.own, miner=miner)
    for payer in paying.payers(count):
        taken = formatting.amount_text(payer.promised)
        promised = gettext("; work in progress takes {taken}").format(taken=taken) if payer.promised else ""
        has = gettext("has {balance}{promised}").format(
            balance=formatting.amount_text(payer.balance), promised=promised
        )
        short = formatting.shortened(payer.address)
        yield _payer_row(names.wallets.get(payer.address) or short, short, has=has, left=payer.left)
    if not price.is_sent:
        left = int(miner.available) - price.locked * count
        has = gettext("has {available} available").format(
            available=formatting.amount_text(int(miner.available))
        )
        yield _payer_row(miner.name or miner.address, miner.address, has=has, left=left)


def _balance_row(funds: Funds, *, free: int, miner: Miner) -> PayerRow:
    needed, own, sent = map(formatting.amount_text, (funds.needed, funds.from_balance, funds.sent))
    say = gettext("has {free} to spare: pays {own} of {needed}, the messages carry {sent}").format(
        free=formatting.amount_text(free), own=own, needed=needed, sent=sent
    )
    if not free:
        say = gettext("has nothing to spare: the messages carry {sent}").format(sent=sent)
    tone, word = ("ok", "pays first") if funds.from_balance else ("idle", "pays nothing")
    return PayerRow(miner.name or miner.address, miner.address, tone, word, say)


def _payer_row(name: str, short: str, *, has: str, left: int) -> PayerRow:
    if left < 0:
        say = gettext("{has}, {amount} short: the messages would wait for funds").format(
            has=has, amount=formatting.amount_text(-left)
        )
        return PayerRow(name, short, "bad", "cannot pay", say)
    return PayerRow(
        name,
        short,
        "ok",
        "can pay",
        gettext("{has}, {left} remaining").format(has=has, left=formatting.amount_text(left)),
    )


def life_text(price: PledgePrice, *, epoch_s: int, height: int, count: int) -> str:
    """Return at which head it holds, and for how long the sectors would live."""
    life = formatting.time_left(price.life_epochs * epoch_s)
    whose = (
        "The sector would expire after"
        if count == 1
        else gettext("The {sectors} would expire after").format(sectors=plural(count, "sector"))
    )
    return gettext("Prices as of epoch {height}. {whose} {life}.").format(
        height=formatting.whole(height), whose=whose, life=life
    )


class PledgeForm(PageForm):
    """How many sectors of which miner; the key makes a double click one pledge."""

    miner = Text()
    count = Text(initial="1")
    key = Text(initial=new_key)

    def clean_count(self) -> int:
        """Read how many.  Raises ValidationError."""
        count, most = count_read(self.cleaned_data["count"]), sealing_policy().pledge_max
        if not 1 <= count <= most:
            raise ValidationError(_("must be from 1 to %(most)s"), params={"most": most})
        return count


@sign_in_required
def pledge(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the form for new sectors, and pledge them."""
    if not viewer.may("write"):
        raise Http404
    choices = picker(viewer, "miner", value=(request.POST or request.GET).get("miner", ""))
    asked = request.GET.get("miner", "")
    if len(choices.choices) == 1 and not choices.is_searched:  # nothing to choose wrongly
        asked = asked or choices.choices[0].value
    form = PledgeForm.of(request, miner=asked)
    if form.is_valid():
        with form.refusals():
            if not is_confirm_submitted(request):
                return confirm_page_render(request, viewer, pledge_review(viewer, form))
            return pledged(viewer, form.cleaned_data)
    data = PageData(viewer)
    return form_render(
        request,
        viewer,
        "sectors/pledge.html",
        form,
        title=_("Pledge"),
        section="sectors",
        page_key="pledge",
        data=data,
        miners=choices,
        most=sealing_policy().pledge_max,
        price=price_of(data, address=form.typed["miner"], count=count_read(form.typed["count"])),
    )


@require_safe
@sign_in_required
def price_part(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the price card for another miner or number of sectors."""
    if not viewer.may("write"):
        raise Http404
    count = count_read(request.GET.get("count", ""))
    price = price_of(PageData(viewer), address=request.GET.get("miner", ""), count=count)
    return render(request, "sectors/_price.html", {"price": price})


def price_of(data: PageData, *, address: str, count: int) -> PriceCard:
    """Return the chain's price of `count` sectors of one of the viewer's miners, or say why not."""
    count = min(max(count, 1), sealing_policy().pledge_max)
    if data.head is None or data.network is None:
        return PriceCard(error="no node has answered yet")
    if not address:
        return PriceCard(error="choose a miner")
    try:
        miner = miner_get(data.viewer, address)
        price = pledge_price(miner, client=chain_client(), head=data.head, network=data.network)
    except DomainError as refusal:
        return PriceCard(error=refusal.reason)
    return price_card(
        price,
        paying_of(miner, price),
        count=count,
        miner=miner,
        names=data.names,
        say=life_text(price, epoch_s=data.network.epoch_s, height=data.head.height, count=count),
    )


def count_read(digits: str) -> int:
    """Read how many; what is no number is 0."""
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 9 else 0


def miner_of(viewer: Principal, address: str) -> Miner:
    """Find the miner.  Raises BadValue."""
    try:
        return miner_get(viewer, address)
    except MinerUnknown:
        raise BadValue(gettext("choose one of your miners"), field="miner") from None


def pledge_review(viewer: Principal, form: PledgeForm) -> ConfirmPage:
    """Return the question before FIL is locked: how many sectors of which miner, the price, who pays.

    Raises BadValue naming the field, also where no price is known.
    """
    miner, count = miner_of(viewer, form.cleaned_data["miner"]), form.cleaned_data["count"]
    data = PageData(viewer)
    price = price_of(data, address=miner.address, count=count)
    if price.error:
        raise BadValue(price.error, field="form")
    return ConfirmPage(
        title=gettext("Pledge {sectors} of {miner}").format(
            sectors=plural(count, "sector"), miner=miner.name or miner.address
        ),
        text=price.say,
        label=gettext("Pledge {sectors}").format(sectors=plural(count, "sector")),
        back=f"{reverse('pledge')}?miner={miner.address}",
        page=_("Pledge"),
        section="sectors",
        kept=tuple(form.typed.items()),
        facts=(
            ("Miner", miner_label(miner)),
            *hostless_facts(miner, data),
            *((row.what, f"{row.all}, {row.sub}") for row in price.rows),
            *((payer.name, f"{payer.word}: {payer.say}") for payer in price.payers),
        ),
    )


def hostless_facts(miner: Miner, data: PageData) -> Iterable[tuple[str, str]]:
    """Yield a warning where no host of the miner's tenant seals."""
    if not has_sealing_host(miner.tenant_id, data):
        words = gettext("{tenant} has no sealing host: the sectors will wait until one joins")
        yield gettext("Hosts"), words.format(tenant=miner.tenant.name)


def pledged(viewer: Principal, sent: dict[str, Any]) -> HttpResponse:
    """Make the sectors and go to them.  Raises DomainError with the field to blame."""
    miner, count = miner_of(viewer, sent["miner"]), sent["count"]
    taken = numbers_allocated(chain_client(), miner.address)
    made = pledge_create(
        miner, count=count, actor=viewer.actor, now=now(), taken=taken, key=sent["key"] or None, by=viewer
    )
    first = made.sectors.order_by("number").first()
    return redirect("sector", first.uuid) if count == 1 and first is not None else redirect("sectors")


urlpatterns: Final = [
    path("sectors/pledge/", pledge, name="pledge"),
    path("sectors/pledge/price/", price_part, name="pledge-price"),
]

"""Pledging: the form, what it would cost, and the new sectors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.chain.node.client import chain_client, page_client
from apps.core import formatting
from apps.core.clock import now
from apps.core.errors import BadValue, DomainError
from apps.core.formatting import plural
from apps.dashboard.confirm_page import (
    ConfirmPage,
    confirm_page_render,
    is_confirm_submitted,
    refusal_linked,
    verdict_facts,
)
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.number_fields import Integer
from apps.dashboard.object_fields import Found
from apps.dashboard.page_data import AddressNames, PageData
from apps.dashboard.pickers import miner_label, picker, tenant_named, tenant_picker
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Key, Text
from apps.messages.services.signer_trials import Verdicts
from apps.miners.onchain.actors import numbers_allocated
from apps.miners.selectors.miners import miner_get
from apps.sectors.rules.policy import sealing_policy
from apps.sectors.selectors.pledge_outlook import Obstacle, pledge_obstacles
from apps.sectors.services.miner_funds import Funds
from apps.sectors.services.sealing.pledge import pledge_create
from apps.sectors.services.sealing.pledge_verdicts import pledge_verdicts_read
from apps.sectors.services.sealing.prices import PaymentPlan, PledgePrice, payment_plan_make, pledge_price
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.miners.models import Miner

GUESSED: Final = _("a guess: no batches of this miner have landed yet")
LEARNT: Final = _("based on its latest batches, at the current base fee")


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
    verdicts: Verdicts | None = None
    """What the signer and the approval rules would do; None before the signer was asked."""
    obstacles: Sequence[Obstacle] = ()
    """What would keep the sectors from being sealed and proven."""

    @property
    def is_unasked(self) -> bool:
        """Return whether there is a price of which the signer was not asked."""
        return not self.error and self.verdicts is None


def price_card(
    price: PledgePrice, paying: PaymentPlan, *, count: int, miner: Miner, names: AddressNames, say: str
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

    yield row(gettext("Deposit"), gettext("with the pre-commit; counts towards the pledge"), price.deposit)
    topup = gettext("with the commit, margin included") if price.topup else gettext("the deposit covers it")
    yield row(gettext("Remaining pledge"), topup, price.topup)
    yield row(
        gettext("Gas"),
        gettext("two messages, burnt; {guessed}").format(guessed=GUESSED if price.is_guess else LEARNT),
        price.gas,
    )
    yield row(gettext("Total"), gettext("locked plus burnt"), price.locked + price.gas, is_sum=True)
    yield row(
        gettext("Daily fee, at most"), gettext("charged to the miner in each proving period"), price.daily_fee
    )


def payer_rows(
    price: PledgePrice, paying: PaymentPlan, *, count: int, miner: Miner, names: AddressNames
) -> Iterable[PayerRow]:
    """Return what the miner's own balance pays, which goes first, then what remains of each address."""
    if price.is_sent:
        yield _balance_row(paying.funds(count), free=paying.own, miner=miner)
    for payer in paying.payers(count):
        amount = formatting.amount_text(payer.promised)
        promised = gettext("; work in progress takes {taken}").format(taken=amount) if payer.promised else ""
        is_own = payer.address == miner.address
        held = gettext("has {balance} available{promised}") if is_own else gettext("has {balance}{promised}")
        has = held.format(balance=formatting.amount_text(payer.balance), promised=promised)
        short = formatting.shortened(payer.address)
        name = names.wallets.get(payer.address) or names.miners.get(payer.address) or short
        yield _payer_row(name, short, has=has, left=payer.left)


def _balance_row(funds: Funds, *, free: int, miner: Miner) -> PayerRow:
    needed, own, sent = map(formatting.amount_text, (funds.needed, funds.from_balance, funds.sent))
    say = gettext("has {free} to spare: pays {own} of {needed}, the messages carry {sent}").format(
        free=formatting.amount_text(free), own=own, needed=needed, sent=sent
    )
    if not free:
        say = gettext("has nothing to spare: the messages carry {sent}").format(sent=sent)
    tone, word = ("ok", gettext("pays first")) if funds.from_balance else ("idle", gettext("pays nothing"))
    return PayerRow(miner.name or miner.address, miner.address, tone, word, say)


def _payer_row(name: str, short: str, *, has: str, left: int) -> PayerRow:
    if left < 0:
        say = gettext("{has}, {amount} short: the messages would wait for funds").format(
            has=has, amount=formatting.amount_text(-left)
        )
        return PayerRow(name, short, "bad", gettext("cannot pay"), say)
    return PayerRow(
        name,
        short,
        "ok",
        gettext("can pay"),
        gettext("{has}, {left} remaining").format(has=has, left=formatting.amount_text(left)),
    )


def life_text(price: PledgePrice, *, epoch_s: int, height: int, count: int) -> str:
    """Return at which head it holds, and for how long the sectors would live."""
    life = formatting.time_left(price.life_epochs * epoch_s)
    whose = (
        gettext("The sector would expire after")
        if count == 1
        else gettext("The {sectors} would expire after").format(sectors=plural(count, "sector"))
    )
    return gettext("Prices as of epoch {height}. {whose} {life}.").format(
        height=formatting.whole(height), whose=whose, life=life
    )


class PledgeForm(PageForm):
    """How many sectors of which miner; the key makes a double click one pledge."""

    tenant = Text()
    """Tenant whose miners are offered; empty: all that the viewer sees."""
    miner = Found(miner_get)
    count = Integer(initial=1)
    key = Key()

    def clean_count(self) -> int:
        """Read how many.  Raises ValidationError."""
        count, most = int(self.cleaned_data["count"]), sealing_policy().pledge_max
        if not 1 <= count <= most:
            raise ValidationError(_("must be from 1 to %(most)s"), params={"most": most})
        return count


@sign_in_required
def pledge(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the form for new sectors, and pledge them."""
    if not viewer.may("write"):
        raise Http404
    sent = request.POST or request.GET
    tenant, address = tenant_named(viewer, sent.get("tenant", "")), sent.get("miner", "")
    choices = (
        tenant_picker(viewer, "miner", tenant=tenant, value=address)
        if tenant
        else picker(viewer, "miner", value=address)
    )
    address = request.GET.get("miner", "")
    # The only miner is preselected: no other can be meant.
    if len(choices.choices) == 1 and not choices.is_searched:
        address = address or choices.choices[0].value
    form = PledgeForm.from_address(request, viewer, tenant=tenant, miner=address)
    if form.is_valid():
        with form.refusals():
            if not is_confirm_submitted(request):
                question, price = pledge_review(viewer, form)
                template = "sectors/pledge_review.html"
                return confirm_page_render(request, viewer, question, template=template, price=price)
            return pledged(viewer, form.cleaned_data)
    data = PageData(viewer)
    return form_render(
        request,
        viewer,
        "sectors/pledge.html",
        form,
        title=_("Pledge sectors"),
        section="sectors",
        scoped=("miner",),
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
    price = price_of(PageData(viewer), address=request.GET.get("miner", ""), count=count, asks_signer=True)
    facts = [*((gettext("Before it ends"), one.text) for one in price.obstacles)]
    facts += [] if price.verdicts is None else list(verdict_facts(price.verdicts))
    return render(request, "sectors/_price.html", {"price": price, "facts": facts})


def price_of(data: PageData, *, address: str, count: int, asks_signer: bool = False) -> PriceCard:
    """Return the chain's price of `count` sectors of one of the viewer's miners, or say why not."""
    count = min(max(count, 1), sealing_policy().pledge_max)
    if data.head is None or data.network is None:
        return PriceCard(error=gettext("no node has answered yet"))
    if not address:
        return PriceCard(error=gettext("choose a miner"))
    try:
        miner = miner_get(data.viewer, address)
        price = pledge_price(miner, client=page_client(), head=data.head, network=data.network)
    except DomainError as refusal:
        return PriceCard(error=refusal_text(refusal))
    card = price_card(
        price,
        payment_plan_make(miner, price=price),
        count=count,
        miner=miner,
        names=data.names,
        say=life_text(price, epoch_s=data.network.epoch_s, height=data.head.height, count=count),
    )
    card = replace(card, obstacles=pledge_obstacles(miner, count=count, now=data.at, network=data.network))
    if not asks_signer:
        return card
    try:
        verdicts = pledge_verdicts_read(miner, price=price, count=count, head=data.head)
    except DomainError as refusal:
        return PriceCard(error=refusal_text(refusal))
    return replace(card, verdicts=verdicts)


def count_read(digits: str) -> int:
    """Read how many; what is no number is 0."""
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 9 else 0


def pledge_review(viewer: Principal, form: PledgeForm) -> tuple[ConfirmPage, PriceCard]:
    """Return the question before FIL is locked: how many sectors of which miner, the price, who pays.

    Raises BadValue naming the field, also where no price is known, and where sealing cannot end.
    """
    miner, count = form.cleaned_data["miner"], form.cleaned_data["count"]
    data = PageData(viewer)
    price = price_of(data, address=miner.address, count=count, asks_signer=True)
    if price.error:
        raise BadValue(price.error, field="form")
    for obstacle in price.obstacles:
        if obstacle.is_final:
            raise BadValue(obstacle.text, field="miner")
    signing = reverse("miner-signing", args=[miner.address]) if viewer.may("admin") else ""
    question = ConfirmPage(
        title=gettext("Pledge {sectors} of {miner}").format(
            sectors=plural(count, "sector"), miner=miner.name or miner.address
        ),
        text=price.say,
        label=gettext("Pledge {sectors}").format(sectors=plural(count, "sector")),
        back=form.address_of(reverse("pledge")),
        page=_("Pledge sectors"),
        section="sectors",
        hidden_fields=tuple(form.typed.items()),
        facts=(
            (gettext("Miner"), miner_label(miner)),
            *((gettext("Before it ends"), one.text, reverse(one.place)) for one in price.obstacles),
            *(
                ()
                if price.verdicts is None
                else refusal_linked(verdict_facts(price.verdicts), price.verdicts.signer, href=signing)
            ),
        ),
        is_danger=False,
    )
    return question, price


def pledged(viewer: Principal, sent: dict[str, Any]) -> HttpResponse:
    """Make the sectors and go to them.  Raises DomainError with the field to blame."""
    miner, count = sent["miner"], sent["count"]
    allocated = numbers_allocated(chain_client(), miner.address)
    made = pledge_create(
        miner,
        count=count,
        actor=viewer.actor,
        now=now(),
        allocated=allocated,
        key=sent["key"],
        by=viewer,
    )
    first = made.sectors.order_by("number").first()
    return redirect("sector", first.uuid) if count == 1 and first is not None else redirect("sectors")


urlpatterns: Final = [
    path("sectors/pledge/", pledge, name="pledge"),
    path("sectors/pledge/price/", price_part, name="pledge-price"),
]

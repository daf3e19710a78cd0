"""Pledging: the form, what it would cost, and the new sectors."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.chain.node.client import chain_client, page_client
from apps.core.clock import now
from apps.core.errors import BadValue, DomainError
from apps.core.formatting import plural
from apps.core.languages import colon_text, list_text
from apps.dashboard.confirm_page import (
    ConfirmPage,
    confirm_page_render,
    is_confirm_submitted,
    verdict_facts,
)
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.sectors.countdown import has_sealing_host
from apps.dashboard.pages.sectors.pledge_price import PriceCard, life_text, price_card
from apps.dashboard.pickers import miner_label, picker
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text, new_key
from apps.miners.errors import MinerUnknown
from apps.miners.onchain.actors import numbers_allocated
from apps.miners.selectors.miners import miner_get
from apps.sectors.rules.policy import sealing_policy
from apps.sectors.services.sealing.pledge import pledge_create
from apps.sectors.services.sealing.pledge_verdicts import pledge_verdicts_read
from apps.sectors.services.sealing.prices import payment_plan_make, pledge_price

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.miners.models import Miner
    from apps.users.rules.principals import Principal


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
    address = request.GET.get("miner", "")
    # The only miner is preselected: no other can be meant.
    if len(choices.choices) == 1 and not choices.is_searched:
        address = address or choices.choices[0].value
    form = PledgeForm.from_address(request, miner=address)
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
        title=_("Pledge sectors"),
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
    price = price_of(PageData(viewer), address=request.GET.get("miner", ""), count=count, asks_signer=True)
    facts = () if price.verdicts is None else tuple(verdict_facts(price.verdicts))
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
        return PriceCard(error=refusal.reason)
    card = price_card(
        price,
        payment_plan_make(miner, price=price),
        count=count,
        miner=miner,
        names=data.names,
        say=life_text(price, epoch_s=data.network.epoch_s, height=data.head.height, count=count),
    )
    if not asks_signer:
        return card
    try:
        verdicts = pledge_verdicts_read(miner, price=price, count=count, head=data.head)
    except DomainError as refusal:
        return PriceCard(error=refusal.reason)
    return replace(card, verdicts=verdicts)


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
    price = price_of(data, address=miner.address, count=count, asks_signer=True)
    if price.error:
        raise BadValue(price.error, field="form")
    return ConfirmPage(
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
            *hostless_facts(miner, data),
            *((row.what, list_text((row.all, row.sub))) for row in price.rows),
            *((payer.name, colon_text(payer.word, payer.say)) for payer in price.payers),
            *(() if price.verdicts is None else verdict_facts(price.verdicts)),
        ),
    )


def hostless_facts(miner: Miner, data: PageData) -> Iterable[tuple[str, str]]:
    """Yield a warning where no host of the miner's tenant seals."""
    if not has_sealing_host(miner.tenant_id, data):
        text = gettext("{tenant} has no sealing host: the sectors will wait until one joins")
        yield gettext("Hosts"), text.format(tenant=miner.tenant.name)


def pledged(viewer: Principal, sent: dict[str, Any]) -> HttpResponse:
    """Make the sectors and go to them.  Raises DomainError with the field to blame."""
    miner, count = miner_of(viewer, sent["miner"]), sent["count"]
    allocated = numbers_allocated(chain_client(), miner.address)
    made = pledge_create(
        miner,
        count=count,
        actor=viewer.actor,
        now=now(),
        allocated=allocated,
        key=sent["key"] or None,
        by=viewer,
    )
    first = made.sectors.order_by("number").first()
    return redirect("sector", first.uuid) if count == 1 and first is not None else redirect("sectors")


urlpatterns: Final = [
    path("sectors/pledge/", pledge, name="pledge"),
    path("sectors/pledge/price/", price_part, name="pledge-price"),
]

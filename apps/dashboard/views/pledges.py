"""Pledging: the form, what it would cost, and the new sectors."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from apps.chain.client import chain_client
from apps.core.clock import now
from apps.core.errors import BadValue, DomainError
from apps.dashboard.frame import page_render
from apps.dashboard.lines.prices import PriceCard, life_words, price_card
from apps.dashboard.people import for_people
from apps.dashboard.regions.scene import Scene
from apps.miners.errors import MinerUnknown
from apps.miners.onchain import numbers_allocated
from apps.miners.selectors import miner_get
from apps.miners.states import MinerState
from apps.sectors.policy import sealing_policy
from apps.sectors.services.pledge import pledge_create
from apps.sectors.services.prices import payers_of, pledge_price

if TYPE_CHECKING:
    from apps.miners.models import Miner
    from apps.users.principals import Principal


def miner_choices(miners: list[Miner]) -> list[dict[str, str]]:
    """Miners that can take sectors, for the form."""
    return [
        {"address": miner.address, "label": f"{miner.name} {miner.address} ({miner.tenant.name})".strip()}
        for miner in miners
        if miner.state == MinerState.ACTIVE
    ]


@for_people
def pledge(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Ask for new sectors; the form's key makes a double click one pledge."""
    if not viewer.may("sign"):
        raise Http404
    form = {"miner": request.GET.get("miner", ""), "count": "1", "key": uuid.uuid4().hex}
    errors: dict[str, str] = {}
    if request.method == "POST":
        form = {name: request.POST.get(name, "").strip() for name in form}
        try:
            return pledged(viewer, form)
        except DomainError as refusal:
            errors[refusal.field if refusal.field in form else "form"] = refusal.reason
    scene = Scene(viewer)
    choices = miner_choices(scene.miners)
    address = form["miner"] or (choices[0]["address"] if choices else "")
    return page_render(
        request,
        "sectors/pledge.html",
        title="Pledge",
        section="sectors",
        page_key="pledge",
        scene=scene,
        status=422 if errors else 200,
        miners=choices,
        form=form,
        errors=errors,
        most=sealing_policy().pledge_max,
        price=price_of(scene, address=address, count=count_read(form["count"])) if choices else None,
    )


@require_safe
@for_people
def price_part(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """The price card for another miner or number of sectors."""
    if not viewer.may("sign"):
        raise Http404
    count = count_read(request.GET.get("count", ""))
    price = price_of(Scene(viewer), address=request.GET.get("miner", ""), count=count)
    return render(request, "sectors/_price.html", {"price": price})


def price_of(scene: Scene, *, address: str, count: int) -> PriceCard:
    """Ask the chain for the price of `count` sectors of one of the viewer's miners, or say why not."""
    count = min(max(count, 1), sealing_policy().pledge_max)
    if scene.head is None or scene.network is None:
        return PriceCard(error="no node has answered yet")
    try:
        miner = miner_get(scene.viewer, address)
        price = pledge_price(miner, client=chain_client(), head=scene.head, network=scene.network)
    except DomainError as refusal:
        return PriceCard(error=refusal.reason)
    return price_card(
        price,
        payers_of(miner, price, count=count),
        count=count,
        miner=miner,
        names=scene.names,
        say=life_words(price, epoch_s=scene.network.epoch_s, height=scene.head.height, count=count),
    )


def count_read(digits: str) -> int:
    """Read how many; what is no number is 0."""
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 9 else 0


def pledged(viewer: Principal, form: dict[str, str]) -> HttpResponse:
    """Make the sectors and go to them.  Raises DomainError with the field to blame."""
    count = count_read(form["count"])
    try:
        miner = miner_get(viewer, form["miner"])
    except MinerUnknown:
        raise BadValue("choose one of your miners", field="miner") from None
    taken = numbers_allocated(chain_client(), miner.address)
    made = pledge_create(
        miner, count=count, actor=viewer.actor, now=now(), taken=taken, key=form["key"] or None, by=viewer
    )
    first = made.sectors.order_by("number").first()
    return redirect("sector", first.uuid) if count == 1 and first is not None else redirect("sectors")

"""Which of a miner's addresses send what: chosen, and which would send now and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.core import formatting
from apps.core.languages import list_text
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.notices import notice_leave
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import MultiChoice
from apps.miners.selectors.miners import miner_get
from apps.miners.selectors.senders import UseSenders, senders_of
from apps.miners.services.addresses import senders_set
from apps.users.rules.principals import Principal
from apps.wallets.selectors import balances_of, senders_granted

if TYPE_CHECKING:
    from apps.miners.models import Miner


@dataclass(frozen=True, slots=True)
class AddressBox:
    """An address that may send for the miner."""

    address: str
    says: str
    """What it is, and what it has."""


@dataclass(frozen=True, slots=True)
class UseCard:
    """One use: what is ticked, and who would send now."""

    row: UseSenders
    label: str
    help: str
    ticked: list[str]
    error: str


class SendersForm(PageForm):
    """A list of addresses for each use."""

    precommit = MultiChoice()
    commit = MultiChoice()
    post = MultiChoice()
    terminate = MultiChoice()
    extend = MultiChoice()


def address_boxes(miner: Miner) -> Iterator[AddressBox]:
    """Yield the addresses that may send for the miner, those first that do nothing else."""
    ids = zip(miner.control_ids, miner.control, strict=False)
    kinds = {address: _("control address {actor}").format(actor=actor) for actor, address in ids}
    for kind, actor_id, address in (
        (_("worker {actor}"), miner.worker_id, miner.worker),
        (_("owner {actor}"), miner.owner_id, miner.owner),
    ):
        kinds.setdefault(address, kind.format(actor="" if actor_id is None else f"f0{actor_id}").strip())
    balances = balances_of(kinds)
    granted = senders_granted([miner.tenant_id], kinds)
    for address, kind in kinds.items():
        held = address in balances and (miner.tenant_id, address) in granted
        balance = balances.get(address)
        if not held:
            has = _("no signer holds it")
        elif balance is None:
            has = _("balance not read yet")
        else:
            has = f"{formatting.fil(balance)} FIL"
        yield AddressBox(address, list_text((kind, has)))


def use_cards(miner: Miner, form: SendersForm) -> Iterator[UseCard]:
    """Yield what can be chosen."""
    texts = {
        "precommit": _("None ticked: the worker, then the owner."),
        "commit": _("Also updates with data. None ticked: the worker, then the owner."),
        "post": _(
            "Also declared faults and recoveries. Fallback: control addresses ticked nowhere, then the "
            "worker, then the owner."
        ),
        "terminate": _("None ticked: the worker, then the owner."),
        "extend": _("None ticked: the worker, then the owner."),
    }
    for row in senders_of(miner):
        bound: Any = form[row.use.value]
        yield UseCard(row, str(row.use.label), texts[row.use.value], list(bound.shown), bound.error)


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def senders(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Show and choose them."""
    miner = miner_get(viewer, address)
    before = {row.use.value: row.named for row in senders_of(miner)}
    form = SendersForm.of(request, **before)
    if request.method == "POST" and not viewer.may("sign"):
        raise Http404
    if request.method == "POST" and form.is_valid():
        with form.refusals():
            senders_set(miner, named={name: in_order(form, name, before[name]) for name in before}, by=viewer)
            notice_leave(request, _("Saved."))
            return redirect("miner-senders", address)
    return form_render(
        request,
        viewer,
        "miners/senders.html",
        form,
        title=_("Senders of a miner"),
        section="miners",
        miner=miner,
        name=f"{miner.name} {miner.address}".strip(),
        back=reverse("miner", args=[miner.address or miner.uuid]),
        boxes=list(address_boxes(miner)),
        uses=list(use_cards(miner, form)),
        may_change=viewer.may("sign"),
    )


def in_order(form: SendersForm, name: str, before: list[str]) -> list[str]:
    """Return what is ticked, in the order that was chosen elsewhere where that has one."""
    ticked = list(form.cleaned_data[name])
    return [one for one in before if one in ticked] + [one for one in ticked if one not in before]


urlpatterns: Final = [path("miners/<str:address>/senders/", senders, name="miner-senders")]

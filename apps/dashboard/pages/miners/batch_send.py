"""Sending what waits for others to share a message or a sector with, after a question that names it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from apps.chain.selectors.heads import head_current
from apps.core import clock
from apps.core.errors import DomainError
from apps.core.formatting import plural, size
from apps.core.languages import colon_text, list_text
from apps.dashboard.confirm_page import (
    ConfirmPage,
    confirm_page_render,
    is_confirm_submitted,
    signer_facts,
    verdict_facts,
)
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.miners.selectors.miners import miner_get
from apps.sectors.selectors.sealing_context import sealing_context_read
from apps.sectors.services.batches.requests import batches_request, waiting_sectors_group
from apps.sectors.services.sealing.packing import PackedSector, packing_plan, packing_request
from apps.sectors.services.waiting_verdicts import waiting_verdicts_read
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.miners.models import Miner

KIND_TEXTS: Final[dict[str, StrOrPromise]] = {
    "precommit": _("Pre-commits"),
    "commit": _("Commits"),
    "snap_up": _("Updates"),
    "terminate": _("Terminations"),
    "extend": _("Extensions"),
}
NAMED_MAX: Final = 20
"""Sectors of each kind that are named."""


def waiting_facts(waiting: Mapping[str, Sequence[int]]) -> tuple[tuple[StrOrPromise, str], ...]:
    """Return for each kind how many sectors wait, and which."""
    facts = []
    for kind, numbers in waiting.items():
        if numbers:
            more = (
                gettext(" and {numbers} more").format(numbers=len(numbers) - NAMED_MAX)
                if len(numbers) > NAMED_MAX
                else ""
            )
            named = list_text(numbers[:NAMED_MAX])
            facts.append((KIND_TEXTS[kind], colon_text(plural(len(numbers), "sector"), f"{named}{more}")))
    return tuple(facts)


@require_POST
@sign_in_required
def send(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Confirm first; then send it with the next head."""
    miner = miner_get(viewer, address)
    head = head_current()
    if not viewer.may("sign") or head is None:
        raise Http404
    if is_confirm_submitted(request):
        try:
            batches_request(miner, head=head, by=viewer)
        except DomainError as refusal:
            return confirm_page_render(request, viewer, _question(miner, refusal_text(refusal)), status=409)
        return redirect("miner-batches", address)
    return confirm_page_render(request, viewer, _question(miner))


def _question(miner: Miner, refusal: str = "") -> ConfirmPage:
    facts = waiting_facts(waiting_sectors_group(miner))
    try:
        verdicts = verdict_facts(waiting_verdicts_read(miner, work=sealing_context_read(is_preview=True)))
    except DomainError as unread:  # they can be sent all the same
        verdicts = signer_facts(refusal_text(unread))
    return ConfirmPage(
        is_danger=False,
        title=_("Send waiting sectors now"),
        text=refusal
        or _("They are sent at the next head, whatever the base fee, in as few messages as possible."),
        label=_("Send"),
        back=reverse("miner-batches", args=[miner.address]),
        page=_("Batches"),
        section="miners",
        facts=(*((str(name), value) for name, value in facts), *verdicts),
    )


def packing_facts(plan: Sequence[PackedSector]) -> tuple[str, ...]:
    """Return for each sector that waiting pieces would begin how full it is."""
    return tuple(
        gettext("{pieces}: {used} of {size}").format(
            pieces=plural(len(packed.pieces), "piece"),
            used=" ".join(size(packed.used)),
            size=" ".join(size(packed.size)),
        )
        for packed in plan
    )


@require_POST
@sign_in_required
def seal(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Confirm first; then begin the sectors of waiting pieces with the next head."""
    miner = miner_get(viewer, address)
    if not viewer.may("sign"):
        raise Http404
    if is_confirm_submitted(request):
        try:
            packing_request(miner, now=clock.now(), by=viewer)
        except DomainError as refusal:
            question = _seal_question(miner, refusal_text(refusal))
            return confirm_page_render(request, viewer, question, status=409)
        return redirect("miner-batches", address)
    return confirm_page_render(request, viewer, _seal_question(miner))


def _seal_question(miner: Miner, refusal: str = "") -> ConfirmPage:
    facts = enumerate(packing_facts(packing_plan(miner)), start=1)
    return ConfirmPage(
        is_danger=False,
        title=_("Seal waiting pieces now"),
        text=refusal
        or _("Their sectors start at the next head; space that no piece fills is padded with zeros."),
        label=_("Seal now"),
        back=reverse("miner-batches", args=[miner.address]),
        page=_("Batches"),
        section="miners",
        facts=tuple((gettext("Sector {number}").format(number=at), text) for at, text in facts),
    )


urlpatterns: Final = [
    path("miners/<str:address>/batches/send/", send, name="miner-batches-send"),
    path("miners/<str:address>/pieces/seal/", seal, name="miner-pieces-seal"),
]

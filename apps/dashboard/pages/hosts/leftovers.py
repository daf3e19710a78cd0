"""Leftovers in a host's sealing folders: listed on its page, removed by their typed number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core.errors import DomainError
from apps.core.reasons import shown_text
from apps.dashboard.confirm_page import is_confirm_submitted
from apps.dashboard.labels import StateLabel
from apps.dashboard.pages.storage.leftovers import LeftoversForm, review_render
from apps.dashboard.pages.storage.rows import bytes_text
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.sectors.selectors.hosts import worker_get
from apps.sectors.selectors.sealing_context import sealing_context_read
from apps.sectors.services.hosts.leftovers import (
    Leftover,
    PlannedLeftover,
    sealing_leftovers_list,
    sealing_leftovers_plan,
    sealing_leftovers_remove,
)
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.sectors.models import Worker

FOUND: Final = StateLabel("warn", _("found"))
ORDERED: Final = StateLabel("run", _("being removed"))
FAILED: Final = StateLabel("bad", _("not removed"))


def leftover_row(one: Leftover, *, refusal: str = "") -> dict[str, object]:
    """Lay out one leftover."""
    sector = one.sector
    text = (
        gettext("in {folder}; not in the database")
        if sector is None
        else gettext("in {folder}; belongs to no job of the host")
    )
    return {
        "name": one.name if sector is None else f"{sector.miner} / {sector.number}",
        "href": "" if sector is None else reverse("sector", args=[sector.uuid]),
        "text": text.format(folder=one.folder),
        "bytes": bytes_text(one.size),
        "label": ORDERED if one.is_ordered else FAILED if one.error else FOUND,
        "error": shown_text(one.error),
        "refusal": refusal,
    }


def leftovers_card(worker: Worker) -> dict[str, object]:
    """Lay out what a host has told of."""
    found = sealing_leftovers_list(worker)
    return {
        "rows": [leftover_row(one) for one in found],
        "bytes": bytes_text(sum(one.size for one in found)),
        "may_remove": any(not one.is_ordered for one in found),
    }


@sign_in_required
def leftovers(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Show what gets free; order the host to remove it after the second click."""
    if not viewer.may("sign"):
        raise Http404
    worker, form = worker_get(viewer, str(key)), LeftoversForm(request.POST or request.GET)
    if is_confirm_submitted(request) and (held := reauthenticate_first(request, viewer)) is not None:
        return held
    plan: list[PlannedLeftover] = []
    wrong = "" if form.is_valid() else str(form.why)
    try:
        if not wrong:
            values = form.cleaned_data
            work = sealing_context_read(is_preview=not is_confirm_submitted(request))
            if is_confirm_submitted(request):
                form.confirm_require()
                sealing_leftovers_remove(
                    worker,
                    ids=list(values["id"]),
                    by=viewer,
                    work=work,
                    reason=values["reason"][:500],
                    count=values["count"],
                )
                return redirect("host", key)
            plan = sealing_leftovers_plan(worker, ids=list(values["id"]) or None, work=work)
    except DomainError as refusal:
        wrong = refusal_text(refusal)
    return _review(request, viewer, worker, form, plan, wrong=wrong)


def _review(
    request: HttpRequest,
    viewer: Principal,
    worker: Worker,
    form: LeftoversForm,
    plan: list[PlannedLeftover],
    *,
    wrong: str,
) -> HttpResponse:
    return review_render(
        request,
        viewer,
        form,
        sizes={one.leftover.id: one.leftover.size for one in plan if not one.refusal},
        wrong=wrong,
        section="hosts",
        places=_("Hosts"),
        place=worker.name,
        back=reverse("host", args=[worker.uuid]),
        verdict=gettext(
            "{host} removes them only from its sealing folders. Sectors being sealed, sectors on chain and "
            "the last good copy of a proven sector are kept. Removed files cannot be restored."
        ).format(host=worker.name),
        rows=[leftover_row(one.leftover, refusal=one.refusal) for one in plan],
    )


urlpatterns: Final = [path("hosts/<uuid:key>/leftovers/", leftovers, name="host-leftovers")]

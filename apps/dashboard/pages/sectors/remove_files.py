"""Removing the files of sectors that the chain has ended: what gets free first, then the second click."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from apps.checks.findings.sector_ends import files_left
from apps.core import formatting
from apps.core.errors import BadValue, DomainError
from apps.core.formatting import plural
from apps.core.languages import list_text
from apps.dashboard.confirm_page import is_confirm_submitted
from apps.dashboard.forms import PageForm
from apps.dashboard.layout import page_render
from apps.dashboard.number_fields import Integer
from apps.dashboard.page_data import PageData
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import MultiChoice, Text
from apps.sectors.selectors.sealing_context import sealing_context_read
from apps.sectors.selectors.sectors import sectors_picked
from apps.sectors.services.stores.file_removals import (
    REMOVALS_MAX,
    FileRemoval,
    removals_plan,
    removals_request,
)
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.sectors.models import Sector

ROWS_SHOWN: Final = 100
"""Sectors that are listed; the sums are of all."""


class RemoveForm(PageForm):
    """Which sectors; without any all whose files are left."""

    id = MultiChoice()
    reason = Text()
    count = Integer()
    """For how many sectors the plan was shown."""
    confirm = Text()


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def remove_files(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show what gets free; tell the hosts after the second click."""
    if request.method == "POST" and not viewer.may("sign"):
        raise Http404
    form, data = RemoveForm(request.POST or request.GET), PageData(viewer)
    if not form.is_valid():
        return review(request, form, [], data, wrong=form.why)
    if is_confirm_submitted(request) and (held := reauthenticate_first(request, viewer)) is not None:
        return held
    plan: list[FileRemoval] = []
    wrong = ""
    try:
        sectors = picked(form, viewer, data)
        work = sealing_context_read(is_preview=not is_confirm_submitted(request))
        if is_confirm_submitted(request):
            values = form.cleaned_data
            phrase = phrase_of(values["count"])
            if values["confirm"].strip().lower() != phrase:
                raise BadValue(gettext('type "{phrase}" to confirm').format(phrase=phrase), field="confirm")
            removals_request(
                sectors, by=viewer, work=work, reason=values["reason"][:500], count=values["count"]
            )
            one = sectors[0].uuid if len(sectors) == 1 else None
            return redirect("sector", one) if one else redirect("sectors")
        plan = removals_plan(sectors, work=work)
    except DomainError as refusal:
        wrong = refusal_text(refusal)
    return review(request, form, plan, data, wrong=wrong)


def picked(form: RemoveForm, viewer: Principal, data: PageData) -> list[Sector]:
    """Return the sectors that are meant.  Raises BadValue for too many, SectorUnknown."""
    ids = form.cleaned_data["id"]
    if len(ids) > REMOVALS_MAX:
        raise BadValue(
            gettext("at most {removals_max} sectors at a time").format(removals_max=REMOVALS_MAX), field="id"
        )
    return sectors_picked(viewer, ids) if ids else list(files_left(data)[:REMOVALS_MAX])


def phrase_of(count: int) -> str:
    """Return what must be typed before files are removed."""
    return gettext("remove {count}").format(count=count)


def review(
    request: HttpRequest, form: RemoveForm, plan: list[FileRemoval], data: PageData, *, wrong: str
) -> HttpResponse:
    """Render the plan with the button."""
    accepted = [one for one in plan if not one.refusal]
    ordered = sorted(plan, key=lambda one: not one.refusal)
    rows = [
        {
            "name": f"{one.sector.miner.address} / {one.sector.number}",
            "href": reverse("sector", args=[one.sector.uuid]),
            "hosts": list_text(one.hosts),
            "bytes": " ".join(formatting.size(one.size)),
            "refusal": one.refusal,
        }
        for one in ordered[:ROWS_SHOWN]
    ]
    return page_render(
        request,
        "sectors/remove_files.html",
        title=gettext("Remove files"),
        section="sectors",
        data=data,
        status=422 if wrong else 200,
        heading=gettext("Remove files of {sectors}").format(sectors=plural(len(accepted), "sector"))
        if plan
        else gettext("Remove files"),
        wrong=wrong,
        accepted=len(accepted),
        may_remove=data.viewer.may("sign"),
        refused=len(plan) - len(accepted),
        bytes=" ".join(formatting.size(sum(one.size for one in plan))),
        rows=rows,
        more=max(len(plan) - ROWS_SHOWN, 0),
        phrase=phrase_of(len(accepted)),
        ids=[str(one.sector.uuid) for one in accepted],
        reason=form.cleaned_data.get("reason", "") if form.is_valid() else "",
    )


urlpatterns: Final = [path("sectors-remove-files/", remove_files, name="sectors-remove-files")]

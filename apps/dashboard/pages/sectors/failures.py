"""What failed, by what went wrong, with one button for each group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from apps.core.clock import now
from apps.core.errors import DomainError
from apps.core.formatting import plural
from apps.core.languages import list_text
from apps.core.reasons import shown_text
from apps.dashboard.labels import RUNS, STAGES
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.proving.services.failures import failures_retry
from apps.sectors.selectors.failures import (
    CHANGES,
    FAILURES_MAX,
    MOVE,
    FailureGroup,
    change_request_read,
    failures_grouped,
)
from apps.sectors.selectors.stopped_work import COMPACT
from apps.sectors.services.changes.steps import CHANGES_MAX
from apps.users.rules.principals import Principal
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import NEXT_STAGE, RUN_NEXT, StageSpec
from poolsite.wire.pipeline.changes import ChangeKind

SECTORS_SHOWN: Final = 8
KIND_TEXTS: Final = {
    JobKind.UNSEAL: _("Unseal"),
    MOVE: _("Move to another store"),
    COMPACT: _("Compaction"),
    "extend": _("Extension"),
    "terminate": _("Termination"),
}
"""What has no stage of its own that failed."""
NOUNS: Final = {JobKind.UNSEAL: "piece", COMPACT: "deadline"}
"""What failed, where it is no sector."""


def failed_in(group: FailureGroup) -> str:
    """Return the stage that failed, and of what run or act it is."""
    if group.kind in KIND_TEXTS:
        return str(KIND_TEXTS[group.kind])
    stage = STAGES[group.stage]
    return str(stage) if group.kind == JobKind.SEAL else list_text((RUNS[group.kind], stage))


def group_row(group: FailureGroup) -> dict[str, object]:
    """Lay out one group."""
    more = group.count - SECTORS_SHOWN
    steps: Mapping[str, StageSpec] = NEXT_STAGE if group.kind == JobKind.SEAL else RUN_NEXT
    noun = NOUNS.get(group.kind, "sector")
    return {
        "key": group.key,
        "heading": gettext("{sectors} failed in {stage}").format(
            sectors=plural(group.count, noun), stage=failed_in(group)
        ),
        "text": shown_text(group.text),
        "advice": group.advice,
        "count": group.count,
        "hosts": list_text(group.hosts),
        "last": group.last,
        "since": group.since,
        "label": _("Deadlines") if group.kind == COMPACT else _("Sectors"),
        "places": places_of(group)[:SECTORS_SHOWN],
        "more": max(more, 0),
        "back": [
            (state, gettext("Back to {stages}").format(stages=STAGES[steps[state].stage]))
            for state in group.back
        ],
        "is_signed": group.kind in (*CHANGES, COMPACT),
        "again": again_of(group),
    }


def places_of(group: FailureGroup) -> list[tuple[str, str]]:
    """Return name and page of each sector, or of each deadline."""
    if group.kind == COMPACT:
        return [
            (f"{miner} / {index}", reverse("proving-deadline", args=[miner, index]))
            for miner, index in group.deadlines
        ]
    return [
        (f"{one.miner.address} / {one.number}", reverse("sector", args=[one.uuid])) for one in group.sectors
    ]


def again_of(group: FailureGroup) -> list[dict[str, object]]:
    """Return the forms that lead to the price of what failed: one of changes, one a deadline."""
    if group.kind in CHANGES:
        return [change_again(group)]
    if group.kind != COMPACT:
        return []
    return [
        {
            "action": reverse("proving-compact", args=[miner, index]),
            "fields": [],
            "label": gettext("Compact deadline {index} of {miner} again…").format(index=index, miner=miner),
        }
        for miner, index in group.deadlines[:SECTORS_SHOWN]
    ]


def change_again(group: FailureGroup) -> dict[str, object]:
    """Return the form that leads to the price of a change that failed, for as many as one request takes."""
    wanted, sectors = change_request_read(group), group.sectors[:CHANGES_MAX]
    fields = [("id", str(one.uuid)) for one in sectors] + [("reason", wanted.reason)]
    if wanted.expiration is not None:
        fields.append(("expiration", str(wanted.expiration)))
    if wanted.drops_claims:
        fields.append(("drop_claims", "on"))
    verb = _("Extend") if wanted.kind is ChangeKind.EXTEND else _("Terminate")
    label = gettext("{verb} {sectors} again…").format(verb=verb, sectors=plural(len(sectors), "sector"))
    return {"action": reverse("sectors-change", args=[group.kind]), "fields": fields, "label": label}


@require_safe
@sign_in_required
def failures(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the groups."""
    groups = failures_grouped(viewer)
    return page_render(
        request,
        "sectors/failures.html",
        title=_("Failures"),
        section="sectors",
        data=PageData(viewer),
        groups=[group_row(group) for group in groups],
        total=sum(group.count for group in groups),
        is_cut=sum(group.count for group in groups) >= FAILURES_MAX,
        may_retry=viewer.may("write"),
        may_sign=viewer.may("sign"),
        done=request.GET.get("done", "")[:200],
        wrong=request.GET.get("wrong", "")[:300],
    )


@require_POST
@sign_in_required
def retry(request: HttpRequest, viewer: Principal, key: str) -> HttpResponse:
    """Go on with a whole group."""
    if not viewer.may("write"):
        raise Http404
    outcome = {}
    try:
        done, refused = failures_retry(key, by=viewer, now=now(), state=request.POST.get("state") or None)
        outcome["done"] = gettext("{sectors} retried").format(sectors=plural(len(done), "sector"))
        if refused:
            outcome["wrong"] = gettext("{sectors} not retried: {refused}").format(
                sectors=plural(len(refused), "sector"), refused=shown_text(refused[0][1])
            )
    except DomainError as refusal:
        outcome["wrong"] = refusal_text(refusal)
    return redirect(f"{reverse('sectors-failures')}?{urlencode(outcome)}")


urlpatterns: Final = [
    path("sectors/failures/", failures, name="sectors-failures"),
    path("sectors/failures/<str:key>/retry/", retry, name="sectors-failures-retry"),
]

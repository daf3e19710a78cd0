"""The timeline of a miner or a tenant over REST: what several tables have, in one list."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core import signing
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.pagination import CURSOR, LIMIT, NotACursor, Pages, number
from apps.api.v1.serializers import MomentField, QuerySerializer, checked
from apps.api.v1.views import PoolView
from apps.checks.selectors.timeline import (
    KINDS,
    TimelineEntry,
    TimelineFilter,
    TimelinePage,
    miner_timeline,
    sector_of,
    tenant_timeline,
)
from apps.core.reasons import code_of
from apps.miners.selectors.miners import miner_get
from apps.users.selectors.tenants import tenant_by_name, tenants_visible

SALT = "rest.timeline."
"""Begins what a cursor is signed for: it names places in several tables, and is of one list."""


class TimelineQuery(QuerySerializer):
    """Which entries to list."""

    kind = serializers.ChoiceField(choices=KINDS, required=False)
    after = MomentField(required=False)
    before = MomentField(required=False)


class TimelineEntryOutput(serializers.Serializer[Any]):
    """Something that happened."""

    kind = serializers.ChoiceField(choices=KINDS)
    at = serializers.DateTimeField()
    key = serializers.CharField(
        help_text="`uuid` of the alert, sector, host or store, `number` of the audit line, `uid` of the "
        "message, height of the win."
    )
    what = serializers.CharField(
        help_text="The alert's check, the act's action, the message's method, the win's miner, the sector's "
        "step, the order to the host, the store's event."
    )
    about = serializers.CharField(
        help_text="What was found, the act's target, the message's receiver, why a win brought no block, a "
        "note of a step or event, why an order failed."
    )
    about_code = serializers.CharField(help_text="Its code, if it is a reason that has one.")
    actor = serializers.CharField(help_text="Who acted, or sent the message; empty: the pool.")
    state = serializers.CharField(
        help_text="Of the message or win, and of the sector after the step; `open` or `ended` of an alert; "
        "`queued`, `done` or `failed` of an order."
    )
    of = serializers.CharField(
        help_text="Name of the host or store, `miner/number` of the sector; else empty."
    )


class TimelineOutput(serializers.Serializer[Any]):
    """One page, newest first; a search may return a partial page, and `next` continues it."""

    results = TimelineEntryOutput(many=True)
    next = serializers.CharField(allow_null=True)


def entry_body(entry: TimelineEntry) -> dict[str, Any]:
    """Return an entry as JSON."""
    row, about, actor, state, of = entry.row, "", "", "", ""
    if entry.kind == "alert":
        key, what, about = str(row.uuid), row.check_name, row.say
        state = "open" if row.ended_at is None else "ended"
    elif entry.kind == "act":
        key, what, about, actor = str(row.pk), row.action, row.target, row.actor
    elif entry.kind == "message":
        key, what, about, actor, state = row.pk, str(row.method), row.to, row.from_addr, row.state
    elif entry.kind == "block":
        key, what, about, state = str(row.epoch), row.miner.address, row.reason, row.state
    elif entry.kind == "sector":
        sector = sector_of(row)
        key, of = str(sector.uuid), f"{row.job.miner.address}/{sector.number}"
        what, about, actor, state = row.event, row.note, row.actor, row.to_state
    elif entry.kind == "host":
        key, of, what, about, actor = str(row.worker.uuid), row.worker.name, row.op, row.error, row.actor
        state = "queued" if row.done_at is None else "failed" if row.error else "done"
    else:
        key, of, what, about = str(row.store.uuid), row.store.name, row.event, row.note
        actor = row.actor
    shown = {"key": key, "what": what, "about": about, "about_code": code_of(about)}
    return {"kind": entry.kind, "at": entry.at, **shown, "actor": actor, "state": state, "of": of}


class TimelineView(PoolView):
    """One page of a timeline."""

    filters = ("kind", "after", "before", "cursor", "limit")

    def answer(self, request: Request, read: Any, *, of: str) -> Response:
        """Answer the page that `read` reads.  Raises BadValue."""
        data = checked(TimelineQuery(data=request.query_params))
        wanted = TimelineFilter(
            kinds=frozenset([data["kind"]] if "kind" in data else KINDS),
            since=data["after"] + timedelta(microseconds=1) if "after" in data else None,
            until=data.get("before"),
        )
        text = request.query_params.get("cursor", "")
        try:
            after = signing.loads(text, salt=SALT + of) if text else {}
        except signing.BadSignature:
            raise NotACursor from None
        limit = number(request, "limit", least=1, default=Pages.default_limit, most=Pages.max_limit)
        found: TimelinePage = read(wanted, after=after, limit=limit)
        return Response(
            {
                "results": TimelineEntryOutput(map(entry_body, found.entries), many=True).data,
                "next": signing.dumps(dict(found.after), salt=SALT + of) if found.after else None,
            }
        )


class MinerTimelineView(TimelineView):
    """`/miners/{address}/timeline`."""

    @extend_schema(parameters=[TimelineQuery, CURSOR, LIMIT], responses=TimelineOutput)
    def get(self, request: Request, address: str) -> Response:
        """List what happened to a miner, newest first: alerts, acts, messages, wins, sectors.

        Hosts and stores are its tenant's.
        """
        miner = miner_get(self.principal, address)

        def read(wanted: TimelineFilter, **place: Any) -> TimelinePage:
            return miner_timeline(self.principal, miner, wanted, **place)

        return self.answer(request, read, of=str(miner.uuid))


class TenantTimelineView(TimelineView):
    """`/tenants/{name}/timeline`."""

    whole_methods = ("GET",)

    @extend_schema(parameters=[TimelineQuery, CURSOR, LIMIT], responses=TimelineOutput)
    def get(self, request: Request, name: str) -> Response:
        """List what happened to a tenant, newest first: alerts, acts, messages, wins, sectors, farm."""
        tenant = tenant_by_name(name, of=tenants_visible(self.principal))

        def read(wanted: TimelineFilter, **place: Any) -> TimelinePage:
            return tenant_timeline(self.principal, tenant, wanted, **place)

        return self.answer(request, read, of=str(tenant.uuid))


urlpatterns = [
    path("miners/<str:address>/timeline", MinerTimelineView.as_view(), name="v1-miner-timeline"),
    path("tenants/<str:name>/timeline", TenantTimelineView.as_view(), name="v1-tenant-timeline"),
]

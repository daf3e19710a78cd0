"""Proving over REST: checks of sectors' files, dry runs of deadlines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.pagination import CURSOR, LIMIT, PAGE_MAX, number
from apps.api.v1.serializers import CODE_HELP
from apps.api.v1.views import PoolView
from apps.core.errors import Conflict, NotFound
from apps.core.marked_texts import gettext
from apps.core.reasons import code_of
from apps.miners.selectors.miners import miner_get
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.selectors.checks import checks_latest
from apps.proving.services.trials import deadline_dry_run, sector_test
from apps.proving.states import CheckKind, CheckState
from apps.proving.tasks import proving_context

if TYPE_CHECKING:
    from apps.proving.models import CheckRun

PAGE_DEFAULT = 100
KEY_MAX = 10**12 - 1


class BadSectorOutput(serializers.Serializer[Any]):
    """A sector whose files are missing or damaged."""

    number = serializers.IntegerField()
    path = serializers.CharField()
    reason = serializers.CharField()
    reason_code = serializers.CharField(help_text=CODE_HELP)


class CheckRunOutput(serializers.Serializer[Any]):
    """One check of sectors' files by one host."""

    uuid = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=CheckKind.values)
    state = serializers.ChoiceField(choices=CheckState.values)
    deadline = serializers.IntegerField()
    open = serializers.IntegerField(help_text="opening epoch of the window that it is for")
    partitions = serializers.ListField(child=serializers.IntegerField())
    store = serializers.CharField()
    host = serializers.CharField()
    sectors = serializers.IntegerField(help_text="how many were checked")
    bad = BadSectorOutput(many=True)
    ms = serializers.IntegerField()
    read_ms = serializers.IntegerField()
    error = serializers.CharField()
    error_code = serializers.CharField(help_text=CODE_HELP)
    at = serializers.DateTimeField()


class CheckRunPage(serializers.Serializer[Any]):
    """Checks, newest first."""

    results = CheckRunOutput(many=True)
    next = serializers.CharField(allow_null=True)


class CheckRunList(serializers.Serializer[Any]):
    """The checks that were started."""

    results = CheckRunOutput(many=True)


def check_body(run: CheckRun) -> dict[str, Any]:
    """Return one check of files as JSON."""
    return {
        "uuid": str(run.uuid),
        "kind": run.kind,
        "state": run.state,
        "deadline": run.deadline_index,
        "open": run.open_epoch,
        "partitions": run.partitions,
        "store": run.store,
        "host": run.host,
        "sectors": run.count,
        "bad": [
            {
                "number": one["number"],
                "path": one["path"],
                "reason": str(reason),
                "reason_code": code_of(reason),
            }
            for one, reason in zip(run.bad, run.bad_reasons, strict=True)
        ],
        "ms": run.ms,
        "read_ms": run.read_ms,
        "error": run.error,
        "error_code": code_of(run.error),
        "at": run.created_at,
    }


def integer(text: str) -> int:
    """Read a deadline or a sector number of a path.  Raises NotFound."""
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise NotFound(gettext("not found"))
    return int(text)


def context_require() -> ProvingContext:
    """Return the newest head with what a look needs.  Raises Conflict before the first."""
    context = proving_context()
    if context is None:
        raise Conflict(gettext("no chain head is known yet"))
    return context


class MinerChecksView(PoolView):
    """`/miners/{address}/checks`: the looks at the miner's sectors."""

    filters = ("cursor", "limit")

    @extend_schema(
        parameters=[CURSOR, LIMIT],
        responses=CheckRunPage,
    )
    def get(self, request: Request, address: str) -> Response:
        """List checks of the last 30 days, newest first."""
        miner = miner_get(self.principal, address)
        limit = number(request, "limit", least=1, default=PAGE_DEFAULT, most=PAGE_MAX)
        last = number(request, "cursor", least=0, default=KEY_MAX, most=KEY_MAX)
        rows = list(checks_latest([miner]).filter(pk__lte=last)[: limit + 1])
        more = str(rows[limit].pk) if len(rows) > limit else None
        return Response({"results": [check_body(row) for row in rows[:limit]], "next": more})


class DeadlineDryRunView(PoolView):
    """`/miners/{address}/deadlines/{index}/dry-run`: the whole proof of a deadline, which is not sent."""

    asks_network = True
    bodiless_methods = ("POST",)

    @extend_schema(request=None, responses={201: CheckRunList})
    def post(self, request: Request, address: str, index: str) -> Response:  # noqa: ARG002
        """Start a dry run; its result is listed under `checks`."""
        miner = miner_get(self.principal, address)
        runs = deadline_dry_run(
            miner, index=integer(index), principal=self.principal, context=context_require()
        )
        return Response({"results": [check_body(run) for run in runs]}, status=status.HTTP_201_CREATED)


class SectorTestView(PoolView):
    """`/miners/{address}/sectors/{number}/test`: a look at one sector's files, and one random leaf opened."""

    asks_network = True
    bodiless_methods = ("POST",)

    @extend_schema(request=None, responses={201: CheckRunOutput})
    def post(self, request: Request, address: str, number: str) -> Response:  # noqa: ARG002
        """Start a check; its result is listed under `checks`."""
        miner = miner_get(self.principal, address)
        run = sector_test(miner, number=integer(number), principal=self.principal, context=context_require())
        return Response(check_body(run), status=status.HTTP_201_CREATED)


urlpatterns = [
    path("miners/<str:address>/checks", MinerChecksView.as_view(), name="v1-miner-checks"),
    path(
        "miners/<str:address>/deadlines/<str:index>/dry-run",
        DeadlineDryRunView.as_view(),
        name="v1-miner-deadline-dry-run",
    ),
    path(
        "miners/<str:address>/sectors/<str:number>/test",
        SectorTestView.as_view(),
        name="v1-miner-sector-test",
    ),
]

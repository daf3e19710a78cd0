"""Proving over REST: checks of sectors' files, dry runs of deadlines, declarations of faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path
from django.utils.translation import gettext
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.dry_run import DRY_RUN, PARAMETERS, is_dry_run
from apps.api.v1.pagination import number
from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView
from apps.core.errors import Conflict, NotFound
from apps.miners.selectors import miner_get
from apps.proving.selectors.checks import checks_latest
from apps.proving.selectors.faults import declarations_latest
from apps.proving.services.compaction import compaction_plan, compaction_send, partitions_of
from apps.proving.services.trials import deadline_dry_run, sector_test
from apps.proving.states import CheckKind, CheckState, DeclarationState
from apps.proving.tasks import proving_context

if TYPE_CHECKING:
    from apps.messages.models import Message
    from apps.proving.models import CheckRun, FaultDeclaration
    from apps.proving.services.compaction import CompactionPlan
    from apps.proving.services.proving_context import ProvingContext

PAGE_DEFAULT = 100
PAGE_MAX = 1_000
KEY_MAX = 10**12 - 1


class BadSectorOutput(serializers.Serializer[Any]):
    """A sector whose files are missing or damaged."""

    number = serializers.IntegerField()
    path = serializers.CharField()
    reason = serializers.CharField()


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
    at = serializers.DateTimeField()


class CheckRunPage(serializers.Serializer[Any]):
    """Checks, newest first."""

    results = CheckRunOutput(many=True)
    next = serializers.CharField(allow_null=True)


class CheckRunList(serializers.Serializer[Any]):
    """The checks that were started."""

    results = CheckRunOutput(many=True)


class DeclarationOutput(serializers.Serializer[Any]):
    """Sectors of one partition that are declared faulty."""

    uuid = serializers.UUIDField()
    state = serializers.ChoiceField(choices=DeclarationState.values)
    deadline = serializers.IntegerField()
    partition = serializers.IntegerField()
    open = serializers.IntegerField()
    cutoff = serializers.IntegerField()
    sectors = serializers.ListField(child=serializers.IntegerField())
    message = serializers.CharField(allow_null=True)
    error = serializers.CharField()


class DeclarationList(serializers.Serializer[Any]):
    """The latest declarations, newest first."""

    results = DeclarationOutput(many=True)


def check_body(run: CheckRun) -> dict[str, Any]:
    """Write one look."""
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
        "bad": run.bad,
        "ms": run.ms,
        "read_ms": run.read_ms,
        "error": run.error,
        "at": run.created_at,
    }


def declaration_body(row: FaultDeclaration) -> dict[str, Any]:
    """Write one declaration."""
    return {
        "uuid": str(row.uuid),
        "state": row.state,
        "deadline": row.deadline_index,
        "partition": row.partition_index,
        "open": row.open_epoch,
        "cutoff": row.cutoff_epoch,
        "sectors": row.sectors,
        "message": row.message_id or None,
        "error": row.error,
    }


def whole(text: str) -> int:
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
        operation_id="v1_miners_checks",
        parameters=[OpenApiParameter("cursor", str), OpenApiParameter("limit", int)],
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


class MinerDeclarationsView(PoolView):
    """`/miners/{address}/fault-declarations`: the sectors that were declared faulty."""

    filters = ()

    @extend_schema(operation_id="v1_miners_fault_declarations", responses=DeclarationList)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """List the latest declarations, newest first."""
        miner = miner_get(self.principal, address)
        rows = declarations_latest([miner], since_epoch=-1)
        return Response({"results": [declaration_body(row) for row in rows]})


class DeadlineDryRunView(PoolView):
    """`/miners/{address}/deadlines/{index}/dry-run`: the whole proof of a deadline, which is not sent."""

    asks_network = True

    @extend_schema(operation_id="v1_miners_deadlines_dry_run", request=None, responses={201: CheckRunList})
    def post(self, request: Request, address: str, index: str) -> Response:  # noqa: ARG002
        """Start a dry run; its result is listed under `checks`."""
        miner = miner_get(self.principal, address)
        runs = deadline_dry_run(miner, whole(index), principal=self.principal, context=context_require())
        return Response({"results": [check_body(run) for run in runs]}, status=status.HTTP_201_CREATED)


class SectorTestView(PoolView):
    """`/miners/{address}/sectors/{number}/test`: a look at one sector's files, and one random leaf opened."""

    asks_network = True

    @extend_schema(operation_id="v1_miners_sectors_test", request=None, responses={201: CheckRunOutput})
    def post(self, request: Request, address: str, number: str) -> Response:  # noqa: ARG002
        """Start a check; its result is listed under `checks`."""
        miner = miner_get(self.principal, address)
        run = sector_test(miner, whole(number), principal=self.principal, context=context_require())
        return Response(check_body(run), status=status.HTTP_201_CREATED)


class CompactInput(InputSerializer):
    """Which partitions; by default all with terminated sectors and without faults."""

    partitions = serializers.ListField(
        child=serializers.IntegerField(min_value=0), required=False, default=list, max_length=PAGE_MAX
    )


class CompactOutput(serializers.Serializer[Any]):
    """What a compaction does, or would do."""

    deadline = serializers.IntegerField()
    partitions = serializers.ListField(child=serializers.IntegerField())
    removed = serializers.IntegerField(
        allow_null=True,
        help_text="terminated sectors to remove; null for an idempotency key that was used before",
    )
    moved = serializers.IntegerField(
        allow_null=True, help_text="live sectors whose partition may change; null as above"
    )
    gas = serializers.CharField(
        allow_null=True, help_text="burnt gas in attoFIL, approximately; null as above"
    )
    last_epoch = serializers.IntegerField(help_text="last epoch at which the chain accepts it")
    refusal = serializers.CharField(help_text="why the chain would not accept it now")
    message = serializers.CharField(allow_null=True)


def compaction_body(plan: CompactionPlan, message: Message | None = None) -> dict[str, Any]:
    """Write a compaction."""
    return {
        "deadline": plan.deadline,
        "partitions": list(plan.partitions),
        "removed": plan.removed,
        "moved": plan.moved,
        "gas": str(plan.gas),
        "last_epoch": plan.last_epoch,
        "refusal": plan.refusal,
        "message": None if message is None else str(message.pk),
    }


def sent_before_body(message: Message, index: int) -> dict[str, Any]:
    """Write the compaction of a key that was used before."""
    return {
        "deadline": index,
        "partitions": list(partitions_of(message)),
        "removed": None,
        "moved": None,
        "gas": None,
        "last_epoch": message.expire_epoch,
        "refusal": "",
        "message": str(message.pk),
    }


class DeadlineCompactView(PoolView):
    """`/miners/{address}/deadlines/{index}/compact`: terminated sectors leave its partitions."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    write_parameters = PARAMETERS
    asks_network = True

    @extend_schema(
        operation_id="v1_miners_deadlines_compact",
        request=CompactInput,
        parameters=[DRY_RUN, OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER)],
        responses={201: CompactOutput, 200: CompactOutput},
    )
    def post(self, request: Request, address: str, index: str) -> Response:
        """Push the message; with `dry_run`, only return what it would do and cost."""
        body = CompactInput(data=request.data)
        body.is_valid(raise_exception=True)
        miner, wanted = miner_get(self.principal, address), body.validated_data["partitions"]
        context = context_require()
        if is_dry_run(request):
            return Response(
                compaction_body(compaction_plan(miner, whole(index), partitions=wanted, context=context))
            )
        key = request.headers.get("Idempotency-Key")
        plan, message = compaction_send(
            miner, whole(index), partitions=wanted, by=self.principal, context=context, key=key
        )
        body_out = sent_before_body(message, whole(index)) if plan is None else compaction_body(plan, message)
        return Response(body_out, status=status.HTTP_201_CREATED)


urlpatterns = [
    path(
        "miners/<str:address>/deadlines/<str:index>/compact",
        DeadlineCompactView.as_view(),
        name="v1-miner-deadline-compact",
    ),
    path("miners/<str:address>/checks", MinerChecksView.as_view(), name="v1-miner-checks"),
    path(
        "miners/<str:address>/fault-declarations",
        MinerDeclarationsView.as_view(),
        name="v1-miner-fault-declarations",
    ),
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

"""What every route of the workers' protocol shares: who may call, documents, the caller's worker."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.job_wait import Holding
from apps.api.v1.access import caller_of
from apps.api.v1.views import PoolView
from apps.core import clock
from apps.core.errors import BadValue, NotAllowed
from apps.core.liveness import heartbeat_send
from apps.core.marked_texts import gettext
from apps.sectors.errors.jobs import JobUnknown
from apps.sectors.rules.policy import sealing_policy
from apps.sectors.selectors.hosts import worker_of
from apps.sectors.selectors.jobs import job_is_of_miners
from apps.sectors.services.hosts.versions import unknown_field_note
from apps.sectors.services.jobs.free_jobs import WaitingHost, kinds_free
from apps.users.rules.principals import Principal
from apps.users.states import POOL
from poolsite.wire.codec import UNKNOWN_FIELD, BadWire, document_decode, document_send
from poolsite.wire.jobs import JobKind, Work

if TYPE_CHECKING:
    from apps.sectors.models import Worker

T = TypeVar("T")
WAIT: Final = "wait"
"""Parameter by which a host says for how long its question for work may be held."""
SECONDS: Final = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)
SCOPE_OF_KIND: Final = {
    JobKind.SEAL: "sealer",
    JobKind.UNSEAL: "sealer",
    JobKind.SNAP_UP: "sealer",
    JobKind.REBUILD: "sealer",
    JobKind.WINDOW_POST: "prover",
    JobKind.SECTOR_CHECK: "prover",
    JobKind.AGGREGATE: "prover",
}
"""Scope that a token needs for jobs of a kind."""
REPORT_MAX_BYTES: Final = 8 << 20
"""A report carries a proof; the output of C1 has a way of its own (`DataView`)."""


def work_check(principal: Principal, view: str) -> None:
    """Raise NotAllowed that says what a caller lacks for a view of the workers' protocol."""
    if not principal.may("write"):
        raise NotAllowed(
            gettext("this requires the level 'write', the caller has '{perm}'").format(perm=principal.perm)
        )
    if not any(principal.has_scope(scope) for scope in SCOPE_OF_KIND.values()):
        raise NotAllowed(gettext("this requires a token with the scope 'sealer' or 'prover'"))
    name = f"rest.{view}"
    if not principal.may_call(name):
        raise NotAllowed(gettext("this token does not allow {method}").format(method=name))


class MayWork(BasePermission):
    """Permission for tokens of level write that have the scope sealer or prover, or no scope at all."""

    def has_permission(self, request: Request, view: Any) -> bool:  # DRF's signature
        """Raise NotAllowed that says what is missing, or return True."""
        principal = caller_of(request)
        if principal is None:
            return False
        work_check(principal, type(view).__name__)
        return True


class WorkerView(PoolView):
    """A route of the workers' protocol."""

    permission_classes = [MayWork]
    scopes = tuple(dict.fromkeys(SCOPE_OF_KIND.values()))
    body_max_bytes = REPORT_MAX_BYTES

    @property
    def tenant_id(self) -> int:
        """Return whose workers and miners the caller's are.  Raises NotAllowed for the pool itself."""
        if self.principal.tenant_id is None:
            raise NotAllowed(gettext("a worker needs a token that belongs to a tenant"))
        return self.principal.tenant_id

    def read(self, kind: type[T], *, worker: str = "") -> T:
        """Read the body, of the worker that its address names.  Raises BadValue naming the field."""
        try:
            return document_decode(kind, self.request.data)
        except BadWire as error:
            reason = error.reason
            if reason == UNKNOWN_FIELD:
                reason = unknown_field_note(
                    self.request.data,
                    field=error.field,
                    uuid=worker,
                    tenant_id=self.tenant_id,
                    now=clock.now(),
                )
            raise BadValue(reason, field=error.field) from None

    def kinds_check(self, kinds: tuple[JobKind, ...]) -> None:
        """Refuse kinds of jobs that the token is not made for.  Raises NotAllowed."""
        for kind in kinds:
            if not self.principal.has_scope(SCOPE_OF_KIND[kind]):
                raise NotAllowed(
                    gettext("this requires a token with the scope '{scope}'").format(
                        scope=SCOPE_OF_KIND[kind]
                    ),
                    field="kinds",
                )

    def worker(self, uuid: str) -> Worker:
        """Find the caller's worker.  Raises WorkerUnknown."""
        return worker_of(self.tenant_id, uuid)


class JobView(WorkerView):
    """A route of one job: of a miner that the token is not limited from."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse a job of another miner.  Raises JobUnknown."""
        super().initial(request, *args, **kwargs)
        if self.principal.miners and not job_is_of_miners(kwargs["uuid"], self.principal.miners):
            raise JobUnknown(kwargs["uuid"])


def answer_of(document: Any) -> Response:
    """Answer with a wire document."""
    return Response(document_send(document))


def heartbeat_note(worker: Worker, *, principal: Principal) -> None:
    """Note that the pool's own sealer or prover lives, under the name that the supervisor uses."""
    for name in life_names(worker, principal=principal):
        heartbeat_send(name, detail=worker.name, pid=0)


def life_names(worker: Worker, *, principal: Principal) -> tuple[str, ...]:
    """Return the supervisor's names of the pool's own programs that are known to live by this worker."""
    if principal.tenant_name != POOL:
        return ()
    return tuple(dict.fromkeys(name for kind, name in SCOPE_OF_KIND.items() if kind in worker.kinds))


def work_find(worker: Worker, holding: Holding | None, *, wait: str, by: Principal) -> Work:
    """Return whether a job of the worker's kinds is free; a held answer says it in the end."""
    kinds = frozenset(map(str, worker.kinds))
    if holding is None:
        free = kinds_free(clock.now())
        return Work(is_free=any((worker.tenant_id, kind) in free for kind in kinds))
    closed = frozenset(stage for stage, count in worker.slots.items() if not count)
    holding.waits = WaitingHost(worker.pk, worker.tenant_id, kinds, closed)
    holding.life, holding.host = life_names(worker, principal=by), worker.name
    if wait:
        holding.wait_s = min(float(wait), sealing_policy().work_wait_s)
    return Work(is_free=False)

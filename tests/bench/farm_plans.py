"""What claims, heartbeats and sweeps read of a farm's jobs: as much as they are about, not all there are."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from tests.bench.scale_pool import Figure
from tests.query_plans import plan_run, plans_watched, rows_read, scanned_whole

JOBS: Final = "sectors_job"
LARGE: Final = frozenset({JOBS, "sectors_sector", "sectors_worker"})
"""Tables that nothing of this reads from end to end."""
CALLERS: Final = 12
"""Hosts whose calls are watched: PostgreSQL plans a statement for any value from the sixth time on."""


class Look:
    """A session as the pool's are, in which statements are explained and what they write is undone."""

    def __init__(self) -> None:
        self.link = importlib.import_module("django.db").connection
        self.now = datetime.now(UTC)

    def reads(self, statement: Any, values: list[Any]) -> float:
        """Return how many jobs a prepared statement looks at; refuse one that reads a table whole."""
        atomic = importlib.import_module("django.db").transaction.atomic
        set_rollback = importlib.import_module("django.db").transaction.set_rollback
        with atomic(), self.link.cursor() as cursor:
            cursor.execute(statement.prepare_text)
            how, _, text = statement.execute_text.rpartition("; ")
            cursor.execute(how or "select")
            plan = plan_run(cursor, text, values)
            cursor.execute(f"DEALLOCATE {statement.name}")
            set_rollback(True)
        assert not scanned_whole(plan) & LARGE, f"{statement.name} reads {scanned_whole(plan)} whole"
        return rows_read(plan, JOBS)


def hosts_call(share: Any) -> None:
    """Have hosts register, renew, claim, ask for work, and tell of progress, an end, a failure, a return."""
    one, now = importlib.import_module, datetime.now(UTC)
    sealing, reports = one("tests.unit.apps.sectors.sealing"), one("apps.sectors.services.jobs.reports")
    pipeline, wire = one("poolsite.wire.pipeline"), share.reports
    first = pipeline.SectorState.ALLOCATED
    stage = str(pipeline.NEXT_STAGE[first].stage)
    for number in range(CALLERS):
        share.heartbeat(number)
        share.claim(number)
        one("apps.sectors.services.jobs.free_jobs").kinds_free(now)
        host = sealing.host(f"new-{number}", at=now)
        tenant = {"tenant_id": host.tenant_id, "now": now}
        done, failed, given_back = sealing.claim(host, at=now, new_sectors=3, max=3)
        progress = wire.Progress(token=done.token, stage=stage, done=1, total=2)
        reports.job_progress_record(done.id, progress=progress, **tenant)
        sealing.report(done, "ADD_PIECE", state=first, at=now)
        told = wire.Fail(token=failed.token, level=wire.Level.TEMPORARY, stage=stage, error="none")
        reports.job_fail(failed.id, fail=told, **tenant)
        reports.job_release(given_back.id, release=wire.Release(token=given_back.token), **tenant)
    one("apps.sectors.services.jobs.leases").leases_sweep(now=now)


def figures(share: Any, *, leased: int) -> Iterator[Figure]:
    """Yield how many jobs each looks at; `share` is a web process's part of the hosts."""
    leases = importlib.import_module("apps.sectors.services.jobs.lease_renewals")
    statements = importlib.import_module("apps.sectors.services.jobs.claim_statements")
    due = importlib.import_module("apps.sectors.due")
    prepared = importlib.import_module("apps.core.prepared_statements").Prepared
    job = importlib.import_module("apps.sectors.models").Job.objects.filter(state="READY").first()
    look, worker = Look(), share.workers[0]
    stages, others = list(share.slots), ["unseal", "snap_up", "rebuild"]
    first = [look.now, worker.tenant_id, worker.pk, others, stages, True, True]
    later = [*first[:6], [], None, [], [], [], [], True, None, None]
    held = [(one.id, *share.hosts.progress_encode(one.progress)) for one in share.held[worker.pk]]
    renewed = [look.now, worker.pk, *map(list, zip(*held, strict=True))]
    question = prepared("due_sweep", f"SELECT EXISTS ({due.SWEEP})", ["bigint", "timestamptz", "bigint"])
    for name, statement, values, limit in (
        ("claim, its first job", statements.PLAIN, first, 400),
        ("claim, another job or one with roles", statements.NEXT, later, 400),
        ("lease of a job", statements.TAKE, [look.now, worker.pk, job.pk, worker.tenant_id, 0], 2),
        (f"heartbeat that renews {len(held)} leases", leases.RENEW, renewed, 4 * len(held)),
        ("question whether anything waits", statements.KINDS, [look.now], 1_000),
        ("sweep of leases, none of them over", statements.SWEEP, [look.now], leased),
        ("question of a head whether leases ran out", question, [1, look.now, 900], leased),
    ):
        yield Figure(f"jobs looked at: {name}", look.reads(statement, values), "rows", limit=limit)
    with plans_watched(*LARGE) as watched:
        hosts_call(share)
    watched.check()
    yield Figure("statements of hosts whose plans use indexes", len(watched.statements), "")
    for table in sorted(LARGE):
        looked, text = watched.most[table]
        most = leased + 10 * CALLERS if statements.SWEEP.name in text else 1_000
        yield Figure(f"{table}: most rows of one statement of hosts", looked, "rows", limit=most)

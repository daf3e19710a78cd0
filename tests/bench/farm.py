"""Claims and heartbeats of a large farm: 2,000 hosts of ten threads, 100,000 live, 5 million finished jobs.

Two processes claim as fast as they can, as two web processes would, and hear each heartbeat that falls due:
as often as the product's hosts send them, with the leases that they hold, without their machines and stores.
PostgreSQL is one of its own and writes durably, changes go to Redis as in a pool; what HTTP costs is not in
it: `hosts` measures that.  Two references in the same run: the same two statements by psycopg2 alone, and the
bound, one UPDATE of the same row by its key with its commit.  CPU time is what counts on a machine that
others use.  Run: python -m tests.bench farm
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import django
from msgspec.structs import replace

from tests.bench import farm_plans
from tests.bench.scale_pool import Figure
from tests.bulk_rows import row_copies_insert
from tests.servers import TEMPLATE, PostgresServer, RedisServer

HOSTS: Final = 2_000
THREADS: Final = 10
LIVE: Final = 100_000
FINISHED: Final = int(os.environ.get("BENCH_FINISHED") or 5_000_000)
MINERS: Final = 40
PROCESSES: Final = 2
RUN_S: Final = 30.0
REFERENCE_S: Final = 10.0
BOUND_S: Final = 3.0
"""Shorter: a fast machine would run out of free jobs."""
POOL, PSYCOPG, BOUND = "pool", "psycopg2", "bound"
"""Who claims in a run."""

CLAIM_P99_MS: Final = 50.0
CLAIMS_PER_S: Final = 300.0

HELD: Final = HOSTS * THREADS
NEW_EVERY: Final = 8
"""One free job in so many is of a sector that nobody has begun."""
UUID: Final = {"uuid": "gen_random_uuid()"}


class Farm:
    """The rows, made once: real ones by the tests' factories, then copies of them."""

    def __init__(self) -> None:
        postgres, redis = PostgresServer(("autovacuum=off", "shared_buffers=128MB")), RedisServer()
        postgres.start()
        redis.start()
        atexit.register(postgres.stop)
        atexit.register(redis.stop)
        os.environ.update(
            DJANGO_SETTINGS_MODULE="poolsite.settings.test",
            PGHOST=str(postgres.sockets),
            PGDATABASE=TEMPLATE,
            LOG_LEVEL="ERROR",
        )
        django.setup()
        settings = importlib.import_module("django.conf").settings
        settings.REDIS_URL = redis.url
        layer = {"hosts": [redis.url], "prefix": "poolsite"}
        backend = "channels_redis.pubsub.RedisPubSubChannelLayer"
        settings.CHANNEL_LAYERS = {"default": {"BACKEND": backend, "CONFIG": layer}}
        connection = importlib.import_module("django.db").connection
        with connection.cursor() as cursor:
            self.fill(cursor)
        connection.close()

    def fill(self, cursor: Any) -> None:
        """Make hosts, sectors with live jobs, and finished jobs."""
        make = importlib.import_module("tests.factories")
        steps = importlib.import_module("poolsite.wire.pipeline").NEXT_STAGE.values()
        make.head(1000)
        make.network()
        miners = [make.miner(1000 + number) for number in range(MINERS)]
        make.sector(miners[0], number=0)
        make.worker("sealer-0", kinds=["seal"])
        copies = {**UUID, "uid": "'uid-' || n", "boot_id": "'boot'", "name": "'sealer-' || n"}
        of, rows = "id = (select min(id) from sectors_worker)", f"generate_series(1, {HOSTS}) n"
        row_copies_insert(cursor, "sectors_worker", of=of, changed=copies, rows=rows)
        miner = f"(array{[row.pk for row in miners]})[n % {MINERS} + 1]"
        rows = f"generate_series(1, {LIVE}) n"
        copies = {**UUID, "number": "n", "miner_id": miner}
        row_copies_insert(cursor, "sectors_sector", of="number = 0", changed=copies, rows=rows)
        stages = [str(step.stage) for step in steps if str(step.owner) == "worker"][1:]
        host = f"n % {HOSTS} + 1 + (select min(id) from sectors_worker)"
        is_held, is_new = f"n <= {HELD}", f"(n > {HELD} and n % {NEW_EVERY} = 0)"
        copies = {
            **UUID,
            "sector_id": "sector",
            "miner_id": "miner",
            "state": f"case when {is_held} then 'LEASED' else 'READY' end",
            "worker_id": f"case when {is_held} then {host} end",
            "sticky_worker_id": f"case when not {is_new} then {host} end",
            "lease_until": f"case when {is_held} then now() + interval '1 hour' end",
            "lease_token": f"case when {is_held} then n else 0 end",
            "stage": f"case when {is_new} then one.stage else (array{stages})[n % {len(stages)} + 1] end",
            "rank": f"case when {is_new} then one.rank else n % {len(stages)} + 1 end",
            "created_at": "now() - n * interval '1 second'",
        }
        of = "sector_id = (select id from sectors_sector where number = 0)"
        self.finished(cursor, of=of, host=host, miner=miner)
        live = "select number as n, id as sector, miner_id as miner from sectors_sector where number > 0"
        row_copies_insert(cursor, "sectors_job", of=of, changed=copies, rows=f"({live}) s")
        cursor.execute("vacuum analyze")

    def finished(self, cursor: Any, *, of: str, host: str, miner: str) -> None:
        """Insert the finished jobs: foreign keys hold, and indexes are quicker made than kept up."""
        whole = "select indexname, indexdef from pg_indexes where tablename = 'sectors_job'"
        cursor.execute(f"{whole} and indexdef not like '%UNIQUE%'")
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f'drop index "{name}"')
        copies = {
            "uuid": "('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid",
            "sector_id": "null",
            "miner_id": miner,
            "kind": "(array['seal', 'window_post', 'unseal', 'sector_check'])[n % 4 + 1]",
            "state": "case n % 50 when 0 then 'FAILED' else 'DONE' end",
            "worker_id": "null",
            "sticky_worker_id": host,
            "created_at": f"now() - ({LIVE} + {FINISHED} - n) * interval '1 second'",
        }
        cursor.execute("set session_replication_role = replica; set maintenance_work_mem = '512MB'")
        rows = f"generate_series(1, {FINISHED}) n"
        row_copies_insert(cursor, "sectors_job", of=of, changed=copies, rows=rows)
        for _, text in indexes:
            cursor.execute(text)
        cursor.execute("reset session_replication_role; reset maintenance_work_mem")


@cache
def farm() -> Farm:
    """Make it once."""
    return Farm()


class Share:
    """One web process's share of the hosts, with what each of them holds."""

    def __init__(self, number: int) -> None:
        self.heartbeats = importlib.import_module("apps.sectors.services.hosts.heartbeats")
        self.claims = importlib.import_module("apps.sectors.services.jobs.claims")
        self.wire = importlib.import_module("poolsite.wire.jobs")
        self.reports = importlib.import_module("poolsite.wire.job_reports")
        self.host_wire = importlib.import_module("poolsite.wire.hosts")
        models = importlib.import_module("apps.sectors.models")
        steps = importlib.import_module("poolsite.wire.pipeline").NEXT_STAGE.values()
        self.slots = {str(step.stage): 1 for step in steps if str(step.owner) == "worker"}
        self.workers = list(models.Worker.objects.filter(boot_id="boot").order_by("pk"))[number::PROCESSES]
        self.held: dict[int, list[Any]] = {worker.pk: [] for worker in self.workers}
        for job in models.Job.objects.filter(state="LEASED", worker__in=self.workers):
            progress = self.reports.Progress(token=job.lease_token, stage=job.stage, done=1, total=100)
            self.held[job.worker_id].append(self.host_wire.HeldJob(id=str(job.uuid), progress=progress))
        self.found: list[str] = []
        self.renewed = 0

    def claim(self, number: int) -> None:
        """Ask for one job, of any stage or new."""
        worker = self.workers[number * 7 % len(self.workers)]
        claim = self.wire.Claim(
            worker_id=str(worker.uuid),
            boot_id="boot",
            kinds=(self.wire.JobKind.SEAL,),
            stages=self.slots,
            new_sectors=1,
        )
        answer = self.claims.jobs_claim(worker, claim=claim, now=datetime.now(UTC))
        self.found += [job.id for job in answer.jobs]

    def heartbeat(self, number: int) -> None:
        """Renew what a host holds; each stage is a little further on each time."""
        worker = self.workers[number % len(self.workers)]
        done = 2 + number // len(self.workers)
        held = tuple(replace(one, progress=replace(one.progress, done=done)) for one in self.held[worker.pk])
        beat = self.host_wire.Heartbeat(boot_id="boot", held=held)
        self.renewed += len(
            self.heartbeats.worker_heartbeat(worker, heartbeat=beat, now=datetime.now(UTC)).renewed
        )


class Bare:
    """Claims by psycopg2 alone: the same statements with the same values, nothing else."""

    def __init__(self, share: Share) -> None:
        statements = importlib.import_module("apps.sectors.services.jobs.claim_statements")
        self.share, self.plain, self.take = share, statements.PLAIN, statements.TAKE
        params = importlib.import_module("apps.core.leader").database_params()
        self.link = importlib.import_module("psycopg2").connect(**params)
        self.cursor = self.link.cursor()
        for statement in (self.plain, self.take):
            self.cursor.execute(statement.prepare_text)
        self.link.commit()

    def claim(self, number: int) -> None:
        """Lease one job."""
        share, now = self.share, datetime.now(UTC)
        worker = share.workers[number * 7 % len(share.workers)]
        values = [now, worker.tenant_id, worker.pk, [], list(share.slots), True, True]
        self.cursor.execute(self.plain.execute_text, values)
        found = self.cursor.fetchone()[11]
        if found is not None:
            self.cursor.execute(self.take.execute_text, [now, worker.pk, found, worker.tenant_id, 0])
            share.found += [row[1] for row in self.cursor.fetchall()]
        self.link.commit()

    @property
    def backend(self) -> int:
        """Process of PostgreSQL that answers."""
        return int(self.link.get_backend_pid())


BOUND_TEXT: Final = """
UPDATE sectors_job SET state = 'LEASED', worker_id = $2, sticky_worker_id = $2, lease_token = lease_token + 1,
  lease_until = $3 + lease_s * interval '1 second', heard_at = $3, updated_at = $3
WHERE id = $1 AND state = 'READY' RETURNING uuid::text"""


class Bound(Bare):
    """No claim could cost less: the row that it writes, by its key, with a commit."""

    def __init__(self, share: Share, number: int) -> None:
        super().__init__(share)
        self.cursor.execute("select id from sectors_job where state = 'READY' order by id")
        self.free = [key for (key,) in self.cursor.fetchall()][number::PROCESSES]
        self.cursor.execute(f"PREPARE bound (bigint, bigint, timestamptz) AS {BOUND_TEXT}")
        self.link.commit()

    def claim(self, number: int) -> None:
        """Lease one job."""
        worker = self.share.workers[number * 7 % len(self.share.workers)]
        self.cursor.execute("EXECUTE bound (%s, %s, %s)", [self.free[number], worker.pk, datetime.now(UTC)])
        self.share.found += [uuid for (uuid,) in self.cursor.fetchall()]
        self.link.commit()


def backend_cpu_ms(pid: int) -> float:
    """Return the CPU time that a process has taken."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6


def hosts_work(number: int, pipe: Any, run_s: float, who: str) -> None:
    """Claim as fast as it goes, with a heartbeat before each while one is due; tell what they took."""
    share = Share(number)
    bare = None if who == POOL else Bare(share) if who == PSYCOPG else Bound(share, number)
    connection = importlib.import_module("django.db").connection
    backend = bare.backend if bare is not None else connection.connection.get_backend_pid()
    took: dict[str, list[tuple[float, float, float]]] = {"claim": [], "heartbeat": []}
    policy = importlib.import_module("apps.sectors.rules.policy").SealingPolicy()
    every_s = policy.heartbeat_s / len(share.workers)
    began, what = time.monotonic(), ""
    while (passed_s := time.monotonic() - began) < run_s:
        is_due = bare is None and len(took["heartbeat"]) * every_s <= passed_s
        what = "heartbeat" if is_due and what != "heartbeat" else "claim"
        do = getattr(share if bare is None else bare, what)
        database, begin, cpu = backend_cpu_ms(backend), time.perf_counter(), time.process_time()
        do(len(took[what]))
        wall_ms, cpu_ms = (time.perf_counter() - begin) * 1000, (time.process_time() - cpu) * 1000
        took[what].append((wall_ms, cpu_ms, backend_cpu_ms(backend) - database))
    due = int(run_s / every_s)
    pipe.send(json.dumps({"took": took, "found": share.found, "renewed": share.renewed, "due": due}))


def measured(run_s: float, *, who: str) -> list[dict[str, Any]]:
    """Return what each process tells of a run."""
    context = get_context("fork")
    pipes, running = [], []
    for number in range(PROCESSES):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=hosts_work, args=(number, theirs, run_s, who))
        process.start()
        pipes.append(ours)
        running.append(process)
    told = [json.loads(pipe.recv()) for pipe in pipes]
    for process in running:
        process.join()
    return told


def cases() -> Iterator[Figure]:
    """Measure all at once."""
    farm()
    told = measured(RUN_S, who=POOL)
    bare, bound = measured(REFERENCE_S, who=PSYCOPG), measured(BOUND_S, who=BOUND)
    found = [job for one in (*told, *bare, *bound) for job in one["found"]]
    claims, beats = ([took for one in told for took in one["took"][what]] for what in ("claim", "heartbeat"))
    plain, least = ([took for one in those for took in one["took"]["claim"]] for those in (bare, bound))
    assert len(found) == len(set(found)), "a job was claimed twice"
    assert len(found) > (len(claims) + len(plain) + len(least)) * 0.9, f"{len(found)} jobs were found"
    whose = f"{HOSTS:,} hosts, {LIVE:,} live and {FINISHED:,} finished jobs"
    yield Figure(f"{whose}: claims", len(claims) / RUN_S, "/s", limit=CLAIMS_PER_S)
    yield Figure("claim, 99th percentile", part_of(claims, 0.99), "ms", limit=CLAIM_P99_MS)
    yield Figure("claim, median", part_of(claims, 0.5), "ms")
    yield Figure("claim, CPU without PostgreSQL's", mean(claims, CPU), "ms")
    yield Figure("claim, CPU of PostgreSQL", mean(claims, DATABASE), "ms")
    yield Figure("heartbeat with its leases, 99th percentile", part_of(beats, 0.99), "ms")
    yield Figure("heartbeat, CPU without PostgreSQL's", mean(beats, CPU), "ms")
    yield Figure("heartbeat, CPU of PostgreSQL", mean(beats, DATABASE), "ms")
    share = 100 * len(beats) / sum(one["due"] for one in told)
    yield Figure("heartbeats heard of those that were due", share, "%")
    yield Figure("leases renewed", sum(one["renewed"] for one in told) / RUN_S, "/s")
    references = (
        ("reference, psycopg2 alone", plain, REFERENCE_S),
        ("bound, one UPDATE with its commit", least, BOUND_S),
    )
    for name, took, run_s in references:
        yield Figure(f"{name}: claims without heartbeats", len(took) / run_s, "/s")
        yield Figure(f"{name}: median", part_of(took, 0.5), "ms")
        yield Figure(f"{name}: 99th percentile", part_of(took, 0.99), "ms")
        yield Figure(f"{name}: CPU without PostgreSQL's", mean(took, CPU), "ms")
        yield Figure(f"{name}: CPU of PostgreSQL", mean(took, DATABASE), "ms")
    yield from farm_plans.figures(Share(0), leased=HELD + len(found))


WALL, CPU, DATABASE = range(3)
"""Of what one claim or heartbeat took, in milliseconds."""


def part_of(took: list[tuple[float, float, float]], part: float) -> float:
    """Return the wall time within which a part of them ended."""
    return sorted(one[WALL] for one in took)[int(len(took) * part)]


def mean(took: list[tuple[float, float, float]], which: int) -> float:
    """Return what they took on average."""
    return sum(one[which] for one in took) / len(took)


def run(case: Figure) -> Figure:
    """Return a figure; it was measured when it was listed."""
    return case

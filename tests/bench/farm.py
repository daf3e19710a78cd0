"""Claims and heartbeats of a large farm: 2,000 hosts of ten threads, 100,000 live, 5 million finished jobs.

Two processes claim as fast as they can, as two web processes would, and hear each heartbeat that falls due
(every host's each 20 s, with the leases that it holds).  PostgreSQL is one of its own and writes durably;
what HTTP costs is not in it.  Run: python -m tests.bench farm
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import time
from datetime import UTC, datetime
from functools import cache
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, Final

import django
from msgspec.structs import replace

from tests.bench.scale_pool import Figure
from tests.bulk_rows import row_copies_insert
from tests.servers import TEMPLATE, PostgresServer, RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator

HOSTS: Final = 2_000
THREADS: Final = 10
LIVE: Final = 100_000
FINISHED: Final = int(os.environ.get("BENCH_FINISHED") or 5_000_000)
MINERS: Final = 40
HEARTBEAT_S: Final = 20.0
PROCESSES: Final = 2
RUN_S: Final = 30.0

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
        importlib.import_module("django.conf").settings.REDIS_URL = redis.url
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
        make.worker("sealer-0", kinds=["SEAL"])
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
        live = "select number as n, id as sector, miner_id as miner from sectors_sector where number > 0"
        of = "sector_id = (select id from sectors_sector where number = 0)"
        row_copies_insert(cursor, "sectors_job", of=of, changed=copies, rows=f"({live}) s")
        copies = {
            **UUID,
            "sector_id": "null",
            "kind": "'WINDOW_POST'",
            "state": "case n % 50 when 0 then 'FAILED' else 'DONE' end",
            "worker_id": host,
        }
        rows = f"generate_series(1, {FINISHED}) n"
        row_copies_insert(cursor, "sectors_job", of=of, changed=copies, rows=rows)
        cursor.execute("vacuum analyze")


@cache
def farm() -> Farm:
    """Make it once."""
    return Farm()


class Share:
    """One web process's share of the hosts, with what each of them holds."""

    def __init__(self, number: int) -> None:
        self.hosts = importlib.import_module("apps.sectors.services.hosts")
        self.claims = importlib.import_module("apps.sectors.services.claims")
        self.wire = importlib.import_module("poolsite.wire.jobs")
        self.host_wire = importlib.import_module("poolsite.wire.hosts")
        models = importlib.import_module("apps.sectors.models")
        steps = importlib.import_module("poolsite.wire.pipeline").NEXT_STAGE.values()
        self.slots = {str(step.stage): 1 for step in steps if str(step.owner) == "worker"}
        self.workers = list(models.Worker.objects.filter(boot_id="boot").order_by("pk"))[number::PROCESSES]
        self.held: dict[int, list[Any]] = {worker.pk: [] for worker in self.workers}
        for job in models.Job.objects.filter(state="LEASED", worker__in=self.workers):
            progress = self.wire.Progress(token=job.lease_token, stage=job.stage, done=1, total=100)
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
        answer = self.claims.jobs_claim(worker, claim, now=datetime.now(UTC))
        self.found += [job.id for job in answer.jobs]

    def heartbeat(self, number: int) -> None:
        """Renew what a host holds; each stage is a little further on each time."""
        worker = self.workers[number % len(self.workers)]
        done = 2 + number // len(self.workers)
        held = tuple(replace(one, progress=replace(one.progress, done=done)) for one in self.held[worker.pk])
        beat = self.host_wire.Heartbeat(boot_id="boot", held=held)
        self.renewed += len(self.hosts.worker_heartbeat(worker, beat, now=datetime.now(UTC)).renewed)


def hosts_work(number: int, pipe: Any) -> None:
    """Claim as fast as it goes, with a heartbeat before each while one is due; tell what they took."""
    share = Share(number)
    took: dict[str, list[tuple[float, float]]] = {"claim": [], "heartbeat": []}
    every_s = HEARTBEAT_S / len(share.workers)
    began, what = time.monotonic(), ""
    while (passed_s := time.monotonic() - began) < RUN_S:
        is_due = len(took["heartbeat"]) * every_s <= passed_s
        what = "heartbeat" if is_due and what != "heartbeat" else "claim"
        begin, cpu = time.perf_counter(), time.process_time()
        getattr(share, what)(len(took[what]))
        took[what].append(((time.perf_counter() - begin) * 1000, (time.process_time() - cpu) * 1000))
    due = int(RUN_S / every_s)
    pipe.send(json.dumps({"took": took, "found": share.found, "renewed": share.renewed, "due": due}))


def cases() -> Iterator[Figure]:
    """Measure all at once."""
    farm()
    context = get_context("fork")
    pipes, running = [], []
    for number in range(PROCESSES):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=hosts_work, args=(number, theirs))
        process.start()
        pipes.append(ours)
        running.append(process)
    told = [json.loads(pipe.recv()) for pipe in pipes]
    for process in running:
        process.join()
    found = [job for one in told for job in one["found"]]
    claims, beats = ([took for one in told for took in one["took"][what]] for what in ("claim", "heartbeat"))
    assert len(found) == len(set(found)), "a job was claimed twice"
    assert len(found) > len(claims) * 0.9, f"{len(found)} of {len(claims)} claims found work"
    whose = f"{HOSTS:,} hosts, {LIVE:,} live and {FINISHED:,} finished jobs"
    yield Figure(f"{whose}: claims", len(claims) / RUN_S, "/s", limit=CLAIMS_PER_S)
    yield Figure("claim, 99th percentile", wall_ms(claims, 0.99), "ms", limit=CLAIM_P99_MS)
    yield Figure("claim, median", wall_ms(claims, 0.5), "ms")
    yield Figure("claim, CPU without PostgreSQL's", sum(cpu for _, cpu in claims) / len(claims), "ms")
    yield Figure("heartbeat with its leases, 99th percentile", wall_ms(beats, 0.99), "ms")
    yield Figure("heartbeat, CPU without PostgreSQL's", sum(cpu for _, cpu in beats) / len(beats), "ms")
    share = 100 * len(beats) / sum(one["due"] for one in told)
    yield Figure("heartbeats heard of those that were due", share, "%")
    yield Figure("leases renewed", sum(one["renewed"] for one in told) / RUN_S, "/s")


def wall_ms(took: list[tuple[float, float]], part: float) -> float:
    """Return the wall time within which a part of them ended."""
    return sorted(wall for wall, _ in took)[int(len(took) * part)]


def run(case: Figure) -> Figure:
    """Return a figure; it was measured when it was listed."""
    return case

"""The forecast of the next windows of 40 miners: what a head costs at which it is made.

All of them are in the same proving period, which is the worst case: four deadlines of each are near at once.
Rows lie in PostgreSQL; the measured times are those of a hundred proofs and a hundred landings.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from tests.bench.blocks import Figure, database

MINERS: Final = 40
DEADLINES: Final = 48
WINDOW: Final = 60
START: Final = 10_000
"""First epoch of the proving period."""
HEADS: Final = 60
MEASURED_EVERY: Final = 5
"""Epochs: a look ahead is made that often on the main network."""
PROOFS: Final = 100
LIMIT_MS: Final = 1_500.0
"""Of this process's CPU: 1 % of a core, as a look is made once in 150 s."""


@cache
def miners() -> list[Any]:
    """Make the miners with their deadlines, a prover, and what its latest proofs took."""
    database()
    factories, models = (
        importlib.import_module("tests.factories"),
        importlib.import_module("apps.proving.models"),
    )
    jobs = importlib.import_module("poolsite.wire.jobs")
    factories.network()
    made = [factories.miner(7_000 + number) for number in range(MINERS)]
    worker = factories.worker(kinds=[jobs.JobKind.WINDOW_POST], stores=["a"])
    models.Deadline.objects.bulk_create(
        models.Deadline(
            miner=miner,
            index=index,
            period_start=START,
            open_epoch=START + index * WINDOW,
            close_epoch=START + (index + 1) * WINDOW,
            challenge_epoch=START + index * WINDOW - 20,
            cutoff_epoch=START + index * WINDOW - 70,
            partitions_count=2,
            live=4_000,
            active=4_000,
            stores=["a"],
        )
        for miner in made
        for index in range(DEADLINES)
    )
    for number in range(PROOFS):
        miner = made[number % MINERS]
        job = factories.proof_job(
            miner,
            worker=worker,
            state="DONE",
            result={"sectors": 2_349, "read_ms": 60_000 + 3_000 * number, "ms": 600_000 + 5_000 * number},
        )
        post = models.WindowPost.objects.create(
            miner=miner,
            deadline_index=40,
            open_epoch=START - 480 - 2_880 * (number // MINERS),
            close_epoch=START - 420 - 2_880 * (number // MINERS),
            challenge_epoch=START - 500 - 2_880 * (number // MINERS),
            state="LANDED",
            partitions=[0],
            randomness=b"r",
            sent_height=START - 470,
            landed_height=START - 470 + number % 4,
        )
        models.ProofAttempt.objects.create(post=post, kind="FIRST", state="USED", job=job, host=worker.name)
    return made


def looks() -> list[float]:
    """Return the milliseconds of CPU of each look ahead over some heads, ascending."""
    miners()
    forecast = importlib.import_module("apps.proving.services.forecast")
    context = importlib.import_module("apps.proving.rules.proving_context").ProvingContext
    network = importlib.import_module("poolsite.filecoin.policy").network_by_name("mainnet")
    factories = importlib.import_module("tests.factories")
    heads = importlib.import_module("apps.chain.models")
    found = []
    for step in range(HEADS + 1):
        now = factories.now()
        facts = {"timestamp": int(now.timestamp()), "base_fee": 100, "arrived_at": now}
        head = heads.Head(height=START + step * MEASURED_EVERY, key="", **facts)
        seen = context(client=None, network=network, head=head, now=now)
        begin = time.process_time()
        forecast.forecasts_measure(seen)
        found.append((time.process_time() - begin) * 1000)
    return sorted(found[1:])  # the first one loads what the others have


def measured() -> Figure:
    """Return the 99th percentile; refuse a forecast that has judged nothing."""
    found = looks()
    deadlines = importlib.import_module("apps.proving.models").Deadline.objects
    judged = deadlines.filter(miner__in=miners(), miss__isnull=False).count()
    if judged < MINERS * 4:
        raise RuntimeError(f"{judged} deadlines have a forecast")
    return Figure(
        f"forecast of {MINERS} miners, CPU of a look ahead, p99 of {HEADS}",
        found[len(found) * 99 // 100],
        "ms",
        limit=LIMIT_MS,
    )


def cases() -> list[Callable[[], Figure]]:
    """Return what is measured."""
    return [measured]


def run(case: Callable[[], Figure]) -> Figure:
    """Measure it."""
    return case()

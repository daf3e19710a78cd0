"""What the machinery of a whole pool costs: CPU time and memory while it is idle, CPU time of a sector.

CPU time is that of all processes, ended ones included, so it holds on a busy machine too.  The chain is that
of `make up`: epochs of two seconds, a proving period of 6.4 minutes.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from apps.sectors.rules.policy import SealingPolicy
from tests.acceptance.pool import SEALED_S, RunningPool, command_of, descendants
from tests.bench import upkeep_floor
from tests.bench.pool import Figure, bare_python, pss_mib
from tests.integration.pools import wait_until

IDLE_CPU_LIMIT: Final = 12.0
"""Percent of one core."""
IDLE_MEMORY_LIMIT_MIB: Final = 1.2 * 1024
SECTOR_LIMIT_S: Final = 1.0

QUIET_S: Final = 30.0
"""Between the last sector and the idle measurement."""
IDLE_S: Final = float(os.environ.get("BENCH_IDLE_S") or 120)

EPOCH_S: Final = 2.0
FROZEN_S: Final = 30.0
ASKED_S: Final = 20.0
STATEMENTS: Final = 120
"""Of an epoch of the idle pool, about."""

SECTORS: Final = int(os.environ.get("BENCH_SECTORS") or 100)
"""Pledged one by one, as fast as it goes, by a pool that has sealed some before."""
MESSAGES: Final = {"precommit": 47, "commit": 60}
"""How many messages took 100 sectors before batches filled up while more came."""
SENT: Final = "select count(*) from messages_message where kind = %s"
PROOF_BYTES: Final = "select max(length(proof)) from sectors_sectorproof"
SEALED_EACH_S: Final = (7.2, 3.6)
"""Wanted from pledge to proving for each of 100, and of 1,000 and more."""
LONE: Final = 3
"""Sectors that are sealed before, each by itself."""
BETWEEN_S: Final = 1.0
BETWEEN: Final = """
    select extract(epoch from at - before) - ms / 1000.0 from (
        select at, ms, lag(at) over job as before, lag(ms) over job as ran from sectors_jobevent
        window job as (partition by job_id order by id)
    ) run where ms is not null and ran is not null
"""
"""Seconds from a stage's report to the next one's begin, where both are the host's and follow each other."""
RUNS: Final = """
    select extract(epoch from event.at) - event.ms / 1000.0, extract(epoch from event.at)
    from sectors_jobevent event join sectors_job job on job.id = event.job_id
    where event.ms is not null and job.kind = 'seal' order by 1
"""
"""When the sealer's stages began and were reported."""
ADDITIONS: Final = 10_000_000
"""The reference: what costs here and elsewhere are compared by."""

PARAMETERS: Final = "workers params"
"""Word in the command of the process that prepares a fresh host's Groth16 parameters, once."""
PARAMETERS_S: Final = 600.0

KERNELS: Final = "workers.processors"
"""Word in the commands of the processes that compute."""

TICK_S: Final = 1.0 / os.sysconf("SC_CLK_TCK")


def cases() -> Iterator[Figure]:
    """Measure, one after the other, on one pool that nobody is logged in to."""
    pool = RunningPool(POOLSITE_NETWORK="demo")
    pool.python = bare_python()
    with pool:
        miner = pool.wait_miner()
        pool.wait_all_up()
        for _ in range(LONE):
            sectors_made(pool, miner, 1)
        lone = pool.rows_of(BETWEEN)
        yield between("a lone sector", [float(gap) for (gap,) in lone])
        wait_until(lambda: parameters_made(pool), within_s=PARAMETERS_S, what=pool.diagnosis)
        before = costs(pool)
        sent = {kind: pool.rows_of(SENT, kind)[0][0] for kind in MESSAGES}
        began = time.monotonic()
        sectors_made(pool, miner, SECTORS)
        took_s = time.monotonic() - began
        after = costs(pool)
        for kind, was in MESSAGES.items():
            count = pool.rows_of(SENT, kind)[0][0] - sent[kind]
            name = f"{kind} messages of {SECTORS} sectors pledged one by one"
            yield Figure(name, count, "", messages_most(pool, kind, took_s), before=was * SECTORS / 100)
        yield between(f"{SECTORS} sectors", host_gaps(pool.rows_of(RUNS)))
        whole = 0.0
        for name in sorted(after):
            share = (after[name] - before.get(name, 0.0)) / SECTORS
            whole += share if name != KERNELS else 0.0
            yield Figure(f"CPU time of {name} for one of {SECTORS} sectors of 2 KiB", share, "s", digits=3)
        wanted_s = SECTORS * SEALED_EACH_S[SECTORS >= 1_000]
        yield Figure(f"{SECTORS} sectors, from pledge to proving", took_s, "s", wanted_s)
        yield Figure(
            "CPU time of a sector, without kernels and what compiles them",
            whole,
            "s",
            SECTOR_LIMIT_S,
            digits=3,
            before=2.05,
        )
        time.sleep(QUIET_S)
        yield from idle(pool)


def between(what: str, gaps: list[float]) -> Figure:
    """Return for how long a host has nothing to do between two stages."""
    name = f"{what}: a host between two stages, median of {len(gaps)}"
    return Figure(name, max(statistics.median(gaps), 0.0), "s", BETWEEN_S, digits=3)


def messages_most(pool: RunningPool, kind: str, took_s: float) -> int:
    """Return how many messages the sectors need at most: each is full, or has waited as long as it may."""
    policy = SealingPolicy()
    full, wait = policy.precommit_batch_max, policy.precommit_backlog_epochs
    if kind == "commit":  # a proof of our small chain has 28 KiB
        proofs = policy.commit_batch_bytes // int(pool.rows_of(PROOF_BYTES)[0][0])
        full, wait = max(min(policy.commit_batch_max, proofs), 1), policy.commit_backlog_epochs
    return -(-SECTORS // full) + 1 + int(took_s / (wait * EPOCH_S))


def host_gaps(runs: Sequence[tuple[Any, ...]]) -> list[float]:
    """Return before each stage for how long no other one ran; 0 where stages overlap."""
    gaps, busy_until = [], float(runs[0][0])
    for began, ended in runs:
        gaps.append(max(float(began) - busy_until, 0.0))
        busy_until = max(busy_until, float(ended))
    return gaps[1:]


def run(case: Figure) -> Figure:
    """Return a figure; it was measured when it was listed."""
    return case


def idle(pool: RunningPool) -> Iterator[Figure]:
    """CPU time and proportional memory of each process while nobody asks for anything."""
    before, began = costs(pool), time.monotonic()
    time.sleep(IDLE_S)
    after, took_s = costs(pool), time.monotonic() - began
    for name in sorted(after):
        share = 100 * (after[name] - before.get(name, 0.0)) / took_s
        yield Figure(f"share of a core of {name} while idle", share, "%", digits=2)
    memory = {name: sum(map(pss_mib, pids)) for name, pids in groups(pool).items()}
    for name in sorted(memory):
        yield Figure(f"memory of {name} while idle", memory[name], "MiB")
    whole = 100 * (sum(after.values()) - sum(before.values())) / took_s
    yield Figure("share of a core of the idle pool", whole, "%", IDLE_CPU_LIMIT, digits=2, before=33)
    whole = sum(memory.values())
    yield Figure("memory of the idle pool", whole, "MiB", IDLE_MEMORY_LIMIT_MIB, before=1.6 * 1024)
    yield Figure(
        "CPU time of ten million additions in plain Python, on this core", reference_s(), "s", digits=3
    )
    yield from floor(pool)
    yield from upkeep_floor.cases()


def reference_s() -> float:
    """Return the least CPU time of ten million additions in plain Python, of three tries."""

    def once() -> float:
        began, total = time.process_time(), 0
        for number in range(ADDITIONS):
            total += number
        return time.process_time() - began

    return min(once() for _ in range(3))


def floor(pool: RunningPool) -> Iterator[Figure]:
    """What is left while no epoch comes, and what an epoch's statements cost if each finds nothing."""
    with pool.frozen("follower"), pool.frozen("blocks"), pool.frozen("devnet"):
        time.sleep(FROZEN_S / 2)
        before, began = costs(pool), time.monotonic()
        time.sleep(FROZEN_S)
        after, took_s = costs(pool), time.monotonic() - began
        still = 100 * (sum(after.values()) - sum(before.values())) / took_s
        yield Figure("share of a core while no epoch comes", still, "%", digits=2)
        ours_s, theirs_s = statements_made(pool)
    share, what = 100 * STATEMENTS / EPOCH_S, f"{STATEMENTS} statements an epoch that find nothing"
    yield Figure(f"{what}: server", share * theirs_s, "%", digits=2)
    yield Figure(f"{what}: client", share * ours_s, "%", digits=2)


def statements_made(pool: RunningPool) -> tuple[float, float]:
    """Return the CPU seconds of one statement without Django: ours, and the server's beside its idle ones."""
    with pool.database() as link, link.cursor() as cursor:
        link.autocommit = True
        idle_s = -costs(pool)["postgres"]
        time.sleep(ASKED_S)
        idle_s += costs(pool)["postgres"]
        theirs_s, ours_s, until, count = -costs(pool)["postgres"], -time.process_time(), time.monotonic(), 0
        until += ASKED_S
        while time.monotonic() < until:
            cursor.execute("select id from chain_head where key = %s", [str(count)])
            count += 1
            time.sleep(EPOCH_S / STATEMENTS)
        ours_s += time.process_time()
        theirs_s += costs(pool)["postgres"]
    return ours_s / count, max(theirs_s - idle_s, 0.0) / count


def sectors_made(pool: RunningPool, miner: str, count: int) -> None:
    """Pledge sectors, wait until all are proving; the database is asked, which charges no web process."""
    names = tuple(uuid for _ in range(count) for uuid in pool.pledge(miner))

    def are_proving() -> bool:
        time.sleep(1)
        [(done,)] = pool.rows_of(
            "select count(*) from sectors_sector where uuid::text in %s and state = 'PROVING'", names
        )
        return bool(done == count)

    wait_until(are_proving, within_s=SEALED_S + 20 * count, what=pool.diagnosis)


def parameters_made(pool: RunningPool) -> bool:
    """Whether the prover prepares no parameters any more: a minute's work of a fresh pool, of no sector."""
    time.sleep(1)
    return not any(PARAMETERS in command_of(pid) for pid in descendants(pool.pid("prover")))


def groups(pool: RunningPool) -> dict[str, list[int]]:
    """Process ids by the supervisor's names; kernels apart, as one."""
    assert pool.supervisor is not None
    found: dict[str, list[int]] = {"supervisor": [pool.supervisor.pid], KERNELS: []}
    for name, row in pool.rows().items():
        if row["pid"] is None:
            continue
        for pid in (row["pid"], *descendants(row["pid"])):
            found.setdefault(KERNELS if KERNELS in command_of(pid) else name, []).append(pid)
    return found


def costs(pool: RunningPool) -> dict[str, float]:
    """Seconds of CPU time of each group so far; a process that ended is counted with its parent."""
    return {
        name: sum(cpu_s(pid, has_ended=name != "supervisor") for pid in pids)
        for name, pids in groups(pool).items()
    }


def cpu_s(pid: int, *, has_ended: bool) -> float:
    """Seconds of CPU time of a process, and of its children that ended; 0 if it is gone."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return TICK_S * sum(map(int, words[11 : 15 if has_ended else 13]))

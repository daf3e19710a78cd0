"""Each process of a running pool dies in each state of a pipeline: what a walk must come to all the same."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from typing import Final

import psycopg2

from poolsite.wire.pipeline import PIPELINES, Owner
from tests.acceptance.pipeline_walks import BACK_S, WALK_S, Walk
from tests.acceptance.pool import RunningPool
from tests.integration.pools import wait_until

DYING: Final = ("sealer", "sealer-kernels", "sealer-broker", "redis", "tasks", "web-1", "postgres")
"""Worker, child, the brokers of both sides, console, database."""
LOOK_S: Final = 0.02
"""A state lasts longer than this between two looks at it."""
SENT: Final = (
    "select id, kind, state, nonce, height, exit_code, error from messages_message where kind = any(%s)"
)
REPORTED: Final = (
    "select stage from sectors_jobevent where job_id = %s and seq is not null and not is_error and id > %s"
)

EVENTS: Final = (
    "select event, from_state, to_state, at, actor, note from sectors_jobevent"
    " where id > %s and event <> 'COMPLETE' order by id"
)
NEWEST: Final = "select coalesce(max(id), 0) from sectors_jobevent"

Messages = dict[str, tuple[object, ...]]
Left = set[tuple[str, str]]
"""States, and who is still to die in them."""


def pairs_of(walk: Walk) -> Left:
    """Each state of a walk with each process."""
    return {(state, name) for state, _ in walk.stages for name in DYING}


def killed_through(pool: RunningPool, walk: Walk, uuid: str, left: Left) -> str:
    """Begin a walk, kill in each of its states who is left for it, one after the other, until it ends.

    Each message is sent once and succeeds, no stage is reported twice, and none whose result was kept is run
    again.  Who was killed is no longer left.  Returns the sector.

    Where a message is on its way one process is killed, the others on other walks: one that its epoch passes
    before it has a nonce is given up, rightly, and the epochs of the test network are a second long.
    """
    alone = {state for state, owner in walk.stages if owner is Owner.CONSOLE and walk.message_kinds}
    over: set[str] = set()
    before, after = messages(pool, walk), int(pool.rows_of(NEWEST)[0][0])
    uuid = walk.begin(pool, uuid) or uuid
    end = time.monotonic() + WALK_S
    while (state := state_or_nothing(pool, walk, uuid)) != walk.ends:
        assert time.monotonic() < end, f"{walk.name} at its end, it is in {state}\n{pool.diagnosis()}"
        name = next((name for at, name in sorted(left) if at == state and pool.has(name)), "")
        if not name or state in over:
            time.sleep(LOOK_S)
            continue
        killed(pool, name)
        left.remove((state, name))
        over |= alone & {state}
        print(f"{walk.name}: {name} killed in {state}", flush=True)
        end = time.monotonic() + WALK_S
    once_sent(pool, walk, before=before, after=after)
    once_done(pool, walk, uuid, after=after)
    return uuid


def killed(pool: RunningPool, name: str) -> None:
    """Kill a process, and wait for its successor."""
    before = pool.pid(name)
    pool.kill(name)
    if name != "sealer-kernels":  # a kernel child comes back with the next stage that needs it
        wait_until(lambda: pool.has_other(name, than=before), within_s=BACK_S, what=pool.diagnosis)


def state_or_nothing(pool: RunningPool, walk: Walk, uuid: str) -> str:
    """Where a walk is; empty while the database is away."""
    with contextlib.suppress(psycopg2.OperationalError):
        return walk.state(pool, uuid)
    return ""


def messages(pool: RunningPool, walk: Walk) -> Messages:
    """A walk's messages, by id."""
    return {str(row[0]): row for row in pool.rows_of(SENT, list(walk.message_kinds))}


def once_sent(pool: RunningPool, walk: Walk, *, before: Messages, after: int) -> None:
    """Require one message of each kind since then that the chain took; one that never got a nonce is none."""
    new = [row for key, row in messages(pool, walk).items() if key not in before]
    told = "\n".join(map(str, [walk.name, *new, *pool.rows_of(EVENTS, after)]))
    out = [row for row in new if row[3] is not None]
    assert sorted(str(row[1]) for row in out) == sorted(walk.message_kinds), told
    assert {(row[2], row[5]) for row in out} <= {("LANDED", 0)}, told


def once_done(pool: RunningPool, walk: Walk, uuid: str, *, after: int) -> None:
    """Require one report of each of a host's stages since then, and that each ran to its end once."""
    stages = [str(spec.stage) for spec in PIPELINES.get(walk.table, ()) if spec.owner is Owner.WORKER]
    if not stages:
        return
    [(job, key)] = pool.rows_of(walk.job_sql, uuid)
    reported = Counter(stage for (stage,) in pool.rows_of(REPORTED, job, after))
    assert reported == Counter(stages), f"{walk.name}: {reported}"
    log = (pool.var / "sealer" / "log" / "celery.log").read_text(errors="replace").splitlines()
    done = [line for line in log if "stage_done" in line and str(key) in line]
    assert done, f"{walk.name}: no stage of {key} in the log"
    for stage in set(stages):
        runs = [line for line in done if f"stage={stage}" in line]
        assert len(runs) <= 1, f"{walk.name}: {stage} was run to its end more than once\n" + "\n".join(runs)

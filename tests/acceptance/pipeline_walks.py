"""What can be done with a proving sector, as walks along tables of states that a kill may meet anywhere."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from poolsite.wire.pipeline import PIPELINES, Owner
from tests.acceptance.pool import PERIOD_S, SEALED_S, RunningPool
from tests.integration.pools import wait_until

KILLED: Final[dict[Owner, tuple[str, ...]]] = {
    Owner.WORKER: ("sealer", "sealer-celery", "sealer-kernels"),
    Owner.CONSOLE: ("tasks", "tasks-slow", "follower"),
}
"""Who does a stage, or has a hand in it."""
BACK_S: Final = 60.0
WALK_S: Final = SEALED_S + 2 * PERIOD_S
"""A walk ends within this on a busy machine: an update waits for its deadline, and for finality."""
DATA_BYTES: Final = 768
"""Half a sector: a piece that fills one is packed with the next head, and waits for no snap-up."""


@dataclass(frozen=True, slots=True)
class Walk:
    """One pipeline over one sector."""

    name: str
    table: str
    """Its table's name; empty: it has none."""
    stages: tuple[tuple[str, Owner], ...]
    """The states in which a kill may come, in order, with who does what is next."""
    sql: str
    """The state of the newest walk over a sector, by the sector's uuid."""
    begin: Callable[[RunningPool, str], Any]
    """Returns the sector where it is a new one."""
    ends: str
    message_kinds: tuple[str, ...] = ()
    """Of its messages, one of each; empty: it sends none."""
    job_sql: str = ""
    """Key and id of the job of the newest walk over a sector, by the sector's uuid."""

    def state(self, pool: RunningPool, uuid: str) -> str:
        """Where it is."""
        rows = pool.rows_of(self.sql, uuid)
        return str(rows[0][0]) if rows else ""

    def has_come_to(self, pool: RunningPool, uuid: str, state: str) -> bool:
        """Return whether it is there or further on."""
        order = [*(one for one, _ in self.stages), self.ends]
        here = self.state(pool, uuid)
        return here in order and order.index(here) >= order.index(state)


def stages_of(name: str, *, end: str) -> tuple[tuple[str, Owner], ...]:
    """Return the states of a table before its end, with who does what is next."""
    order = [(str(spec.state), spec.owner) for spec in PIPELINES[name]]
    return tuple(order[: [state for state, _ in order].index(end)])


def posted(pool: RunningPool, path: str, *, token: str | None = None, **how: Any) -> Any:
    """Ask for something that must be granted."""
    answer = pool.ask("POST", f"/api/v1/{path}", token=token, **how)
    assert answer.status_code in (200, 201, 202), answer.text
    return answer.json()


def data_of(uuid: str) -> bytes:
    """The bytes for a sector: the same ones for a second sector would be the piece of the first."""
    return UUID(uuid).bytes * (DATA_BYTES // 16)


def pledge(pool: RunningPool, _uuid: str) -> str:
    """Begin a new one."""
    return pool.pledge(pool.wait_miner())[0]


def snap_up(pool: RunningPool, uuid: str) -> None:
    """Put a client's bytes into the sector."""
    piece = posted(pool, f"miners/{pool.miner()}/pieces", content=data_of(uuid))
    posted(pool, f"sectors/{uuid}/snap-up", json={"pieces": [piece["piece_cid"]]})


def rebuild(pool: RunningPool, uuid: str) -> None:
    """Make its replica again."""
    posted(pool, f"sectors/{uuid}/rebuild")


def unseal(pool: RunningPool, uuid: str) -> None:
    """Remove the raw bytes of its piece, and ask for them."""
    assert pool.ask("DELETE", f"/api/v1/sectors/{uuid}/unsealed").status_code < 300
    assert pool.ask("GET", f"/api/v1/pieces/{piece_of(pool, uuid)}/data").status_code == 202


def piece_of(pool: RunningPool, uuid: str) -> str:
    """The piece that lies in a sector."""
    sql = (
        "select piece.piece_cid from pieces_piece piece join sectors_sector sector"
        " on sector.miner_id = piece.miner_id and sector.number = piece.sector_number where sector.uuid = %s"
    )
    return str(pool.rows_of(sql, uuid)[0][0])


def extend(pool: RunningPool, uuid: str) -> None:
    """Have it live longer."""
    posted(pool, f"sectors/{uuid}/extend", json={})


def terminate(pool: RunningPool, uuid: str) -> None:
    """End it before its time, which the signer's policy must allow."""
    policy = pool.var / "signer" / "policy.toml"
    text, word = policy.read_text(), '"miner.TerminateSectors"'
    if word not in text:
        known = '"miner.ExtendSectorExpiration",'
        policy.write_text(text.replace(known, f"{word}, {known}", 1))
    posted(pool, f"sectors/{uuid}/terminate", json={"reason": "walk"})


def move(pool: RunningPool, uuid: str) -> None:
    """Move it to another store, which host and prover get first."""
    here = pool.rows_of("select store from sectors_sector where uuid = %s", uuid)[0][0]
    others = "select uuid::text from sectors_store where name <> %s"
    if not pool.rows_of(others, here):
        _store_attach(pool)
    [(source,)] = pool.rows_of("select uuid::text from sectors_store where name = %s", here)
    target = pool.rows_of(others, here)[0][0]
    posted(pool, f"stores/{source}/moves", json={"to": target, "sectors": [uuid]})


def _store_attach(pool: RunningPool) -> None:
    """Attach a second store to the pool's hosts."""
    folder = pool.var / "store-2"
    folder.mkdir()
    hosts = "select uuid::text from sectors_worker where retired_at is null order by kinds ? 'seal' desc"
    ready = "select count(*) from sectors_storeattachment where path = %s and condition = 'READY'"
    for done, (host,) in enumerate(pool.rows_of(hosts)):
        posted(pool, "stores", json={"worker_id": host, "path": str(folder), "new": done == 0})
        wait_until(
            lambda done=done: int(pool.rows_of(ready, str(folder))[0][0]) > done,
            within_s=BACK_S,
            what=pool.diagnosis,
        )


SECTOR: Final = "select state from sectors_sector where uuid = %s"
SECTOR_JOB: Final = (
    "select job.id, job.uuid::text from sectors_job job"
    " join sectors_sector sector on sector.id = job.sector_id where sector.uuid = %s"
    " and job.kind = '{}' order by job.id desc limit 1"
)
UNSEAL_JOB: Final = (
    "select id, uuid::text from sectors_job where kind = 'unseal' and inputs ->> 'sector' = %s"
    " order by id desc limit 1"
)
RUN_JOB: Final = (
    "select job.id, job.uuid::text from sectors_pipelinerun run join sectors_job job on job.id = run.job_id"
    " join sectors_sector sector on sector.id = run.sector_id"
    " where sector.uuid = %s and run.kind = '{}' order by run.id desc limit 1"
)
RUN: Final = (
    "select run.state from sectors_pipelinerun run join sectors_sector sector on sector.id = run.sector_id"
    " where sector.uuid = %s and run.kind = '{}' order by run.id desc limit 1"
)
CHANGE: Final = (
    "select change.state from sectors_sectorchange change join sectors_sector sector"
    " on sector.id = change.sector_id where sector.uuid = %s order by change.id desc limit 1"
)
UNSEALING: Final = (
    "select case stage when 'UNSEAL' then 'SEALED' when 'UPLOAD' then 'UNSEALED' else 'FETCHED' end"
    " from sectors_job where kind = 'unseal' and inputs ->> 'sector' = %s order by id desc limit 1"
)
MOVING: Final = (
    "select move.state from sectors_storemove move join sectors_sector sector on sector.id = move.sector_id"
    " where sector.uuid = %s order by move.id desc limit 1"
)
MOVE_STAGES: Final = (
    ("QUEUED", Owner.WORKER),
    ("COPYING", Owner.WORKER),
    ("COPIED", Owner.CONSOLE),
    ("CLEARING", Owner.WORKER),
)
SEALED: Final = Walk(
    "sealing",
    "Sealing",
    stages_of("Sealing", end="PROVING"),
    SECTOR,
    pledge,
    "PROVING",
    ("precommit", "commit"),
    job_sql=SECTOR_JOB.format("seal"),
)
EXTENSION: Final = Walk(
    "extension",
    "Extending",
    stages_of("Extending", end="EXTEND_LANDED"),
    CHANGE,
    extend,
    "EXTEND_LANDED",
    ("extend",),
)
REBUILD: Final = Walk(
    "rebuild",
    "Rebuild",
    stages_of("Rebuild", end="REBUILT"),
    RUN.format("rebuild"),
    rebuild,
    "REBUILT",
    job_sql=RUN_JOB.format("rebuild"),
)
SNAP_UP: Final = Walk(
    "snap-up",
    "Snap-up",
    stages_of("Snap-up", end="SNAPPED"),
    RUN.format("snap_up"),
    snap_up,
    "SNAPPED",
    ("snap_up",),
    job_sql=RUN_JOB.format("snap_up"),
)
UNSEALED: Final = Walk(
    "unsealing",
    "Unsealing",
    stages_of("Unsealing", end="FETCHED"),
    UNSEALING,
    unseal,
    "FETCHED",
    job_sql=UNSEAL_JOB,
)
TERMINATION: Final = Walk(
    "termination",
    "Terminating",
    stages_of("Terminating", end="TERMINATE_LANDED"),
    CHANGE,
    terminate,
    "TERMINATE_LANDED",
    ("terminate",),
)
WALKS: Final = (EXTENSION, REBUILD, SNAP_UP, UNSEALED)
"""In an order in which one sector can go them all: data are unsealed out of what was snapped."""
LAST: Final = (Walk("move", "", MOVE_STAGES, MOVING, move, "MOVED"), TERMINATION)
"""Those that need more than the pool has, or end the sector."""


def walk_through(pool: RunningPool, walk: Walk, uuid: str, *, state: str, rng: random.Random) -> None:
    """Begin a walk, kill a process where it is in a state, and see that it ends and sends nothing twice."""
    owner = dict(walk.stages)[state]
    name = rng.choice(KILLED[owner])
    messages = sent(pool, walk)
    # A busy machine misses windows, and kills do: it is declared recovered and proven again.
    wait_until(lambda: pool.sector(uuid).get("active"), within_s=3 * PERIOD_S, what=pool.diagnosis)
    walk.begin(pool, uuid)
    wait_until(
        lambda: walk.has_come_to(pool, uuid, state),
        within_s=WALK_S,
        what=lambda: f"{walk.name} in {state}, it is in {walk.state(pool, uuid)}\n{pool.diagnosis()}",
    )
    is_there = pool.has(name)  # a kernel child comes with the stage that needs it
    stood = walk.state(pool, uuid)
    if is_there:
        pool.kill(name)
    print(f"{walk.name}: {name} {'killed' if is_there else 'not there'} in {stood}, wanted {state}")
    began = time.monotonic()
    wait_until(
        lambda: walk.state(pool, uuid) == walk.ends,
        within_s=WALK_S,
        what=lambda: f"{walk.name} at its end, it is in {walk.state(pool, uuid)}\n{pool.diagnosis()}",
    )
    print(f"{walk.name}: ended {time.monotonic() - began:.1f} s later")
    expected = messages + len(walk.message_kinds)
    assert sent(pool, walk) == expected, f"{walk.name} sent {walk.message_kinds} more than once"
    failed = "select count(*) from messages_message where kind = any(%s) and exit_code <> 0"
    assert pool.rows_of(failed, list(walk.message_kinds)) == [(0,)]
    if name not in ("sealer-kernels",):
        wait_until(lambda: pool.has(name), within_s=BACK_S, what=pool.diagnosis)


def sent(pool: RunningPool, walk: Walk) -> int:
    """How many messages of a walk's kinds there are."""
    sql = "select count(*) from messages_message where kind = any(%s) and state not in ('FAILED', 'REPLACED')"
    return int(pool.rows_of(sql, list(walk.message_kinds))[0][0])

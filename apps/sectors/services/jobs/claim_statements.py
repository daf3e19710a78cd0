"""What a claim asks the database, planned once for each connection: which job comes next, and its lease.

A claim that finds work is two statements, one that finds none is one: most of its time was Django's before,
spent on nine small questions and three rows that were read whole.
"""

from __future__ import annotations

from typing import Final

from apps.core.prepared_statements import Plan, Prepared
from apps.messages.services.recovery.detect import TIMELINE
from apps.miners.states import RoleState
from apps.sectors.selectors.proof_forms import NETWORK_VERSION
from apps.sectors.states import JOB_TRANSITIONS, JobState
from poolsite.wire.jobs import STAGED, JobKind

IS_FREE: Final = (
    "(job.state = 'READY' OR job.state = 'LEASED' AND job.lease_until < $1)"
    " AND (job.not_before IS NULL OR job.not_before <= $1)"
    " AND (job.expires_at IS NULL OR job.expires_at > $1)"
)
"""Whether some host may have a job now."""
FREE: Final = f"FROM sectors_job job JOIN miners_miner miner ON miner.id = job.miner_id WHERE {IS_FREE}"
_COLUMNS: Final = "job.kind, job.miner_id, job.stage, job.id, job.lease_token"
_FIRST: Final = f"""
SELECT {_COLUMNS} FROM sectors_job job WHERE job.state = 'READY'
  AND (job.not_before IS NULL OR job.not_before <= $1) AND (job.expires_at IS NULL OR job.expires_at > $1)"""  # noqa: S608
_OF_PAIRS: Final = "ORDER BY job.kind, job.miner_id LIMIT 1"
_NOT_SEALING: Final = ", ".join(f"'{kind}'" for kind in JobKind if kind is not JobKind.SEAL)
KINDS: Final = Prepared(
    "job_kinds_free",
    f"""
WITH RECURSIVE pair AS (
  ({_FIRST} {_OF_PAIRS})
  UNION ALL
  SELECT later.* FROM pair CROSS JOIN LATERAL (
    {_FIRST} AND (job.kind, job.miner_id) > (pair.kind, pair.miner_id) {_OF_PAIRS}) later
), lapsed AS (
  SELECT {_COLUMNS} FROM sectors_job job
  WHERE job.state = 'LEASED' AND job.kind IN ({_NOT_SEALING}) AND job.lease_until < $1
    AND (job.expires_at IS NULL OR job.expires_at > $1)
)
SELECT miner.tenant_id, free.kind, free.stage, free.id, free.lease_token, free.miner_id
FROM (SELECT * FROM pair UNION ALL SELECT * FROM lapsed) free
JOIN miners_miner miner ON miner.id = free.miner_id
""",  # noqa: S608
    ["timestamptz"],
)
"""One free job of each kind and miner, with its tenant.

READY ones by their index from one kind and miner to the next, so that of thousands of jobs one is read; and
the proofs and other few jobs whose lease ran out: a window does not wait for the sweep at the next head.  It
frees sealing jobs, which hold tens of thousands of leases and which mostly their own host goes on with.
"""

_OVER: Final = "job.state IN ('READY', 'LEASED') AND job.state = 'LEASED' AND job.lease_until < $1"
_OF_TENANT: Final = "FROM sectors_job job JOIN miners_miner miner ON miner.id = job.miner_id"
LAPSED: Final = Prepared(
    "job_lapsed",
    f"""
SELECT 1 WHERE EXISTS (SELECT 1 FROM sectors_job job WHERE job.sticky_worker_id = $2 AND {_OVER})
  OR EXISTS (SELECT 1 {_OF_TENANT} WHERE job.is_portable AND miner.tenant_id = $3 AND {_OVER})
  OR EXISTS (SELECT 1 {_OF_TENANT}
    WHERE job.kind = 'seal' AND job.sticky_worker_id IS NULL AND miner.tenant_id = $3 AND {_OVER})""",  # noqa: S608
    ["timestamptz", "bigint", "bigint"],
    plan=Plan.ANEW,
)
"""Whether a lease of a sector ran out that a host ($2) of a tenant ($3) may have: one that lies on it, one
whose next stage any host may do, or one that lies on none.  By the indexes of these.
"""

ORDER: Final = "job.time_sensitive DESC, job.priority DESC, job.rank DESC, job.created_at, job.id"
"""The most urgent first; the index of each miner's new sectors has the same."""
BY_END: Final = (
    "job.time_sensitive DESC, job.priority DESC, job.rank DESC, job.expires_at, job.created_at, job.id"
)
"""The same of proofs and checks: what is of use for the shortest time goes first."""
IN_TURN: Final = (
    "job.time_sensitive DESC, job.priority DESC, job.rank DESC,"
    " job.expires_at, candidate.age, candidate.turn, job.created_at, job.id"
)
"""The same among candidates of all sorts; sectors have no end, and go last of equal ones."""
LIVE: Final = "job.state IN ('READY', 'LEASED')"
"""Of the few jobs that are not over: what the indexes of jobs hold."""
CANDIDATES, OWN_CANDIDATES = 16, 4
"""Of each sort, before one is locked: more than other claims hold locked at the same moment, and more than
other claims of one host do.
"""
OF_HOSTS: Final = ", ".join(f"'{kind}'" for kind in STAGED if kind is not JobKind.SEAL)
"""Kinds that hosts are offered by name; the index by these hosts holds no others."""
CANDIDATE: Final = (
    "SELECT job.id, job.stage, job.sticky_worker_id, job.offered_to, 0::bigint AS turn, job.created_at AS age"
)
LAST_TURN: Final = (
    "SELECT past.turn FROM sectors_job past WHERE past.miner_id = miner.id AND past.turn IS NOT NULL"
    " ORDER BY past.turn DESC LIMIT 1"
)
"""When a miner had its last turn, by an index."""


def _in_turn(new: str) -> str:
    """Return the question for new sectors: of equal urgency, first of the miner that had no turn for longest.

    Of each miner only as many are read as may be locked, so that no queue hides another.  `age` sets them
    against jobs of other sorts: that of the oldest.
    """
    urgency = "one.time_sensitive DESC, one.priority DESC, one.rank DESC"
    return f"""
SELECT one.id, one.stage, one.sticky_worker_id, one.offered_to, last.turn,
  min(one.created_at) OVER (PARTITION BY one.time_sensitive, one.priority, one.rank) AS age
FROM miners_miner miner CROSS JOIN LATERAL (SELECT coalesce(({LAST_TURN}), 0) AS turn) last
CROSS JOIN LATERAL (
  SELECT job.* FROM sectors_job job
  WHERE {IS_FREE} AND {LIVE} AND job.miner_id = miner.id AND {new} ORDER BY {ORDER} LIMIT {CANDIDATES}) one
WHERE miner.tenant_id = $2 ORDER BY {urgency}, last.turn, one.created_at, one.id LIMIT {CANDIDATES}"""  # noqa: S608


def _next(*, facts: str, own: str, new: str, guest: str, offered: str, other: str, found: str) -> str:
    """Return the statement that locks the most urgent of the jobs of five sorts."""
    of, order = f"{CANDIDATE} {FREE} AND {LIVE} AND miner.tenant_id = $2", f"ORDER BY {ORDER} LIMIT"
    each = f"{of} AND job.kind = wanted.kind AND {other} ORDER BY {BY_END} LIMIT {CANDIDATES}"
    named = (
        f"$4 && ARRAY[{OF_HOSTS}] AND job.kind IN ({OF_HOSTS}) AND job.kind = ANY($4)"
        " AND job.offered_to @> to_jsonb($3) AND job.stage = ANY($5)"
        " AND ($6 OR NOT (job.kind = 'rebuild' AND job.stage = 'ADD_PIECE'))"
    )
    sorts = " UNION ALL ".join(
        [
            f"({of} AND {own} {order} {OWN_CANDIDATES})",
            f"({_in_turn(new)})",
            *(f"({of} AND {which} {order} {CANDIDATES})" for which in (guest, f"{named} AND {offered}")),
            "(SELECT one.* FROM unnest($4) AS wanted(kind)"  # noqa: S608
            f" CROSS JOIN LATERAL ({each}) one WHERE wanted.kind NOT IN ({OF_HOSTS}))",
        ]
    )
    return f"""
WITH {facts} candidate AS ({sorts}), found AS (
  SELECT job.id, job.kind, job.stage, job.sticky_worker_id IS NULL AS is_new
  FROM sectors_job job JOIN candidate ON candidate.id = job.id WHERE {IS_FREE}
    AND job.stage = candidate.stage AND job.sticky_worker_id IS NOT DISTINCT FROM candidate.sticky_worker_id
    AND job.offered_to IS NOT DISTINCT FROM candidate.offered_to
  ORDER BY {IN_TURN} LIMIT 1 FOR UPDATE OF job SKIP LOCKED
) {found}"""  # noqa: S608  # constants of this module


NEXT: Final = Prepared(
    "job_next",
    _next(
        facts="",
        own="job.kind = 'seal' AND job.stage = ANY($5) AND job.sticky_worker_id = $3 AND $13"
        " AND job.miner_id <> ALL($7) AND ($14 IS NULL OR job.id = ANY($14))",
        new="job.kind = 'seal' AND job.stage = ANY($5) AND $6 AND $13 AND job.sticky_worker_id IS NULL"
        " AND job.miner_id <> ALL($7) AND ($8 IS NULL OR job.created_at > $8)"
        " AND ($14 IS NULL OR job.id = ANY($14)) AND ($15 IS NULL OR job.id = ANY($15))"
        " AND job.miner_id <> ALL(CASE WHEN cardinality($9) + cardinality($10) = 0 THEN $9"
        " WHEN (SELECT pieces FROM sectors_sector WHERE id = job.sector_id) = '[]' THEN $9 ELSE $10 END)",
        guest="job.is_portable AND job.stage = ANY($5) AND job.sticky_worker_id <> $3 AND $13"
        " AND job.miner_id <> ALL($7) AND job.miner_id <> ALL($9) AND $14 IS NULL",
        offered="job.miner_id <> ALL($7) AND ($14 IS NULL OR job.id = ANY($14))",
        other="($14 IS NULL OR job.id = ANY($14))"
        " AND CASE WHEN job.offered_to IS NULL THEN job.miner_id <> ALL($11)"
        " ELSE job.offered_to @> to_jsonb($3) AND job.miner_id <> ALL($12) END",
        found="SELECT id, kind, stage, is_new FROM found",
    ),
    [
        "timestamptz",
        "bigint",
        "bigint",
        "text[]",
        "text[]",
        "boolean",
        "bigint[]",
        "timestamptz",
        *["bigint[]"] * 4,
        "boolean",
        *["bigint[]"] * 2,
    ],
    plan=Plan.ANEW,
)
"""The most urgent job that a host may have now, locked.

Five questions, as each has an index: what lies on the host ($3) and new sectors, if it seals ($13; $6:
there is room; $8: of a restored backup only later ones, while hosts may still report that they have begun
one), sectors of other hosts for whose next stage the console has all that is needed, unsealing, updates and
rebuilds that name it, and other work ($4) that is offered to it or to all. $7 are miners that are not read
back; $9 to $12 those for which its roles bar it from sealing, from clients' data, from windows and from all
that a backup prover may do. $14: to which jobs the claim is narrowed; $15: which new sectors the host takes
by its rules. What another claim has locked is passed over; one that it changed is not taken.
Planned each time: which of these are empty decides by what index new sectors are found.
"""

PLAIN: Final = Prepared(
    "job_next_plain",
    _next(
        facts=f"""
facts AS MATERIALIZED (
  SELECT recovery.*, {NETWORK_VERSION} AS network,
    recovery.sectors_since IS NULL AND NOT EXISTS (
      SELECT 1 FROM miners_role role JOIN miners_miner miner ON miner.id = role.miner_id
      WHERE miner.tenant_id = $2 AND role.state <> '{RoleState.REMOVED}') AS is_plain,
    EXISTS (SELECT 1 FROM sectors_hostinventory told
      WHERE told.worker_id = $3 AND told.told_at >= recovery.restored_at) AS has_told,
    (SELECT system_identifier::text FROM pg_control_system()) AS cluster,
    {TIMELINE} AS timeline,
    (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database,
    'messages_message'::regclass::oid::bigint AS messages,
    (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint AS position
  FROM messages_recovery recovery ORDER BY recovery.id LIMIT 1
),""",  # noqa: S608  # constants of this module
        own="(SELECT is_plain FROM facts) AND job.kind = 'seal' AND job.stage = ANY($5)"
        " AND job.sticky_worker_id = $3 AND $7",
        new="(SELECT is_plain FROM facts) AND job.kind = 'seal' AND job.stage = ANY($5) AND $6 AND $7"
        " AND job.sticky_worker_id IS NULL",
        guest="(SELECT is_plain FROM facts) AND job.is_portable AND job.stage = ANY($5)"
        " AND job.sticky_worker_id <> $3 AND $7",
        offered="(SELECT is_plain FROM facts)",
        other="(SELECT is_plain FROM facts) AND (job.offered_to IS NULL OR job.offered_to @> to_jsonb($3))",
        found="SELECT facts.is_plain, facts.has_told, facts.restored_at, facts.network, facts.pool::text,"
        " facts.fingerprint::text, facts.cluster, facts.timeline, facts.database, facts.messages,"
        " facts.position, found.id, found.kind, found.stage, found.is_new FROM facts LEFT JOIN found ON true",
    ),
    ["timestamptz", "bigint", "bigint", "text[]", "text[]", "boolean", "boolean"],
    plan=Plan.ONCE,
)
"""The same for a tenant whose hosts have no roles, while no sectors are read back, as is nearly always so.

With it comes what a claim has to know besides: the last restore, the database's own identity, the network.
Where it is not so nothing is looked for.  To plan it takes longer than to carry it out.
"""

[LEASED] = {steps["CLAIM"] for steps in JOB_TRANSITIONS.values() if "CLAIM" in steps}
"""The one state that a claim leads to, from wherever it comes."""
SOURCES: Final = ", ".join(f"'{state}'" for state, steps in JOB_TRANSITIONS.items() if "CLAIM" in steps)
TAKE: Final = Prepared(
    "job_take",
    f"""
WITH taken AS (
  UPDATE sectors_job job SET state = '{LEASED}', worker_id = $2,
    sticky_worker_id = CASE WHEN job.kind = '{JobKind.SEAL}' AND NOT job.is_portable THEN $2
      ELSE job.sticky_worker_id END,
    turn = CASE WHEN job.kind = '{JobKind.SEAL}' AND job.sticky_worker_id IS NULL AND job.turn IS NULL
      THEN 1 + coalesce((SELECT max(last.turn) FROM miners_miner miner
        CROSS JOIN LATERAL ({LAST_TURN}) last WHERE miner.tenant_id = $4), 0)
      ELSE job.turn END,
    lease_token = greatest(job.lease_token + 1, $5), lease_until = $1 + job.lease_s * interval '1 second',
    heard_at = $1, not_before = NULL, updated_at = $1
  FROM miners_miner miner
  WHERE job.id = $3 AND job.state IN ({SOURCES}) AND miner.id = job.miner_id AND miner.tenant_id = $4
  RETURNING job.id, job.uuid::text, job.lease_token, job.seq, job.lease_s, job.sector_id, miner.actor_id,
    job.is_portable AND job.sticky_worker_id IS DISTINCT FROM $2 AS is_guest
), begun AS (
  UPDATE sectors_sector sector
  SET progress_done = 0, progress_total = 0, progress_unit = '', error = '', error_coded = NULL,
    error_level = ''
  FROM taken WHERE sector.id = taken.sector_id
    AND (sector.progress_done, sector.progress_total, sector.progress_unit, sector.error, sector.error_level)
        IS DISTINCT FROM (0, 0, '', '', '')
)
SELECT taken.id, taken.uuid, taken.lease_token, taken.seq, taken.lease_s, taken.is_guest, taken.actor_id,
  sector.uuid::text, {NETWORK_VERSION},
  sector.number, sector.seal_proof, sector.sector_size, sector.state, sector.pieces::text, sector.ticket,
  CASE WHEN sector.precommit_epoch IS NULL AND sector.precommit_batch_id IS NULL THEN sector.ticket_epoch END,
  sector.seed, sector.seed_epoch, sector.comm_d, sector.comm_r
FROM taken LEFT JOIN sectors_sector sector ON sector.id = taken.sector_id""",  # noqa: S608  # constants
    ["timestamptz", "bigint", "bigint", "bigint", "bigint"],
)
"""Leases a job that is locked ($3) to a worker ($2) of its miner's tenant ($4), under a token of $5 or more.

A statement of its own: a transfer holds the job while it runs, and the one that ended after our look is seen
by this second one.  The step is that of the jobs' table; gives what the assignment says.
"""

SWEEP: Final = Prepared(
    "leases_sweep",
    f"""
UPDATE sectors_job job SET state = '{JOB_TRANSITIONS[JobState.LEASED]["FREE"]}', worker_id = NULL,
  lease_until = NULL, updated_at = $1
WHERE job.id = ANY(ARRAY(
  SELECT id FROM sectors_job WHERE state = 'LEASED' AND lease_until < $1 ORDER BY id FOR UPDATE SKIP LOCKED))
RETURNING job.id, (SELECT tenant_id FROM miners_miner WHERE id = job.miner_id)""",  # noqa: S608  # constants
    ["timestamptz"],
    plan=Plan.ANEW,
)
"""Frees all jobs whose lease ran out; gives them with their tenants.

Planned each time, as what has lapsed is nearly nothing or, after an hour without this, everything.  By an
array of keys: a join may be planned through all jobs in their order.
"""

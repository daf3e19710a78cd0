"""What a heartbeat asks the database, planned once: of 2,000 hosts a hundred are heard each second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apps.core.prepared_statements import Prepared
from apps.miners.states import RoleState
from apps.sectors.selectors.proof_forms import NETWORK_VERSION
from apps.sectors.states import OPEN_MOVES, StoreCheckState

if TYPE_CHECKING:
    from collections.abc import Iterable


def _listed(states: Iterable[str]) -> str:
    return ", ".join(f"'{state}'" for state in sorted(states))


FACTS: Final = Prepared(
    "heartbeat_facts",
    f"""
SELECT recovery.restored_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM sectors_hostinventory told
    WHERE told.worker_id = $1 AND told.told_at >= recovery.restored_at),
  EXISTS (SELECT 1 FROM miners_role role JOIN miners_miner miner ON miner.id = role.miner_id
    WHERE miner.tenant_id = $2 AND role.state <> '{RoleState.REMOVED}'),
  EXISTS (SELECT 1 FROM sectors_storemove WHERE worker_id = $1 AND state IN ({_listed(OPEN_MOVES)})),
  EXISTS (SELECT 1 FROM sectors_storecheck
    WHERE worker_id = $1 AND state = '{StoreCheckState.RUNNING}'),
  {NETWORK_VERSION}
FROM (SELECT 1) here LEFT JOIN messages_recovery recovery ON true ORDER BY recovery.id LIMIT 1""",  # noqa: S608
    ["bigint", "bigint"],
)
"""Whether a worker ($1) has not reported its disk since a restore, whether its tenant ($2) has roles, whether
the worker has open moves and checks; and the version of the network's row.
"""

HEARD: Final = Prepared(
    "worker_heard",
    """
UPDATE sectors_worker SET seen_at = $2, updated_at = $2, is_paused = $3, is_draining = $4, last_error = $5,
  hardware = coalesce($6, hardware)
WHERE id = $1
RETURNING EXISTS (SELECT 1 FROM sectors_workercommand WHERE worker_id = $1 AND done_at IS NULL)""",
    ["bigint", "timestamptz", "boolean", "boolean", "text", "jsonb"],
)
"""What every heartbeat says, with the machine ($6) where that changed; gives whether a command is open."""

RENEW: Final = Prepared(
    "leases_renew",
    """
WITH told AS (
  SELECT * FROM unnest($3::uuid[], $4, $5, $6, $7, $8) AS told(uuid, token, stage, done, total, unit)
), held AS (
  SELECT job.id, job.sector_id, job.lease_s, job.stage = told.stage AS is_on, told.*
  FROM sectors_job job JOIN told ON told.uuid = job.uuid AND told.token = job.lease_token
  WHERE job.state = 'LEASED' AND job.worker_id = $2 ORDER BY job.id FOR UPDATE OF job
), renewed AS (
  UPDATE sectors_job job SET lease_until = $1 + job.lease_s * interval '1 second', heard_at = $1
  FROM held WHERE job.id = held.id
), moved AS (
  UPDATE sectors_sector sector
  SET progress_done = held.done, progress_total = held.total, progress_unit = held.unit
  FROM held WHERE sector.id = held.sector_id AND held.is_on
    AND (sector.progress_done, sector.progress_total, sector.progress_unit)
        IS DISTINCT FROM (held.done, held.total, held.unit)
  RETURNING sector.id, sector.uuid
)
SELECT held.uuid::text, held.lease_s, held.sector_id IS NULL AND held.is_on, moved.uuid::text
FROM held LEFT JOIN moved ON moved.id = held.sector_id""",
    ["timestamptz", "bigint", "text[]", "bigint[]", "text[]", "bigint[]", "bigint[]", "text[]"],
)
"""Prolongs a worker's leases and notes how far the stages of its sectors are, all in one statement.

Gives each job's id, its lease, whether it is a proof that has told something, and its sector if that moved.
"""

"""Questions by which a head tells whether a step of sealing finds work: apps/chain/heads/steps.py."""

from __future__ import annotations

from typing import Final

ADVANCE: Final = """
    SELECT 1 FROM sectors_sector WHERE state NOT IN ('PROVING', 'ABORTED', 'TERMINATED')
        AND (paused_at IS NULL OR state IN ('PRECOMMIT_SENT', 'COMMIT_SENT'))
    UNION ALL SELECT 1 FROM sectors_pipelinerun WHERE paused_at IS NULL
        AND state IN ('SNAP_STORED', 'UPDATE_SENT', 'UPDATE_LANDED', 'REBUILD_CLEARED')
    UNION ALL SELECT 1 FROM sectors_sector WHERE deadline IS NULL AND state IN ('COMMIT_LANDED', 'PROVING')
    UNION ALL SELECT 1 FROM sectors_batch WHERE state IN ('CLOSED', 'SENT')
    UNION ALL SELECT 1 FROM sectors_batch batch JOIN messages_message message ON message.id = batch.message_id
        WHERE batch.state = 'LANDED' AND batch.landed_height >= $1 - $3
            AND (message.state <> 'LANDED' OR message.exit_code <> 0 OR message.height <> batch.landed_height)
    UNION ALL SELECT 1 FROM sectors_sectorchange WHERE state IN ('TERMINATE_QUEUED', 'EXTEND_QUEUED')
    UNION ALL SELECT 1 FROM sectors_job WHERE state = 'READY' AND kind IN ('unseal', 'snap_up', 'rebuild')
    UNION ALL SELECT 1 FROM pieces_piece WHERE state IN ('READY', 'PACKED')
    UNION ALL SELECT 1 FROM messages_recovery WHERE sectors_since IS NOT NULL
    UNION ALL SELECT 1 FROM sectors_hostinventory inventory
        JOIN messages_recovery recovery ON inventory.told_at >= recovery.restored_at
        WHERE inventory.imported_at IS NULL OR inventory.imported_at < recovery.restored_at
"""
"""A sector, a batch or a run is on its way, a sector has no deadline, a landed batch's message left the
chain, failed there or moved, a termination or extension waits for its message, no host has taken a run or an
unsealing yet, a piece waits for a sector or is in one that is sealed, sectors are read back after a restore,
or a host has reported its disk since."""

SCANS: Final = """
    SELECT 1 FROM sectors_storescan WHERE state = 'RUNNING' AND report IS NOT NULL
    UNION ALL SELECT 1 FROM sectors_storescan WHERE redeclares AND settled_at IS NULL AND state <> 'RUNNING'
"""
"""A host has told what lies in a store, or rows follow what was found in one."""

ADOPT: Final = """
    SELECT 1 FROM sectors_sectoradoption WHERE state IN ('ROWS', 'FILES')
"""
"""Sectors of the chain's are adopted."""

BATCH: Final = """
    SELECT 1 FROM sectors_sector WHERE state IN ('PERSISTED', 'C2_DONE') AND paused_at IS NULL
"""
"""A sector waits for a batch."""

SWEEP: Final = """
    SELECT 1 WHERE (SELECT min(lease_until) FROM sectors_job WHERE state = 'LEASED') < $2
    UNION ALL SELECT 1 FROM sectors_numberreservation WHERE state = 'RESERVED' AND expires_at < $2
    UNION ALL SELECT 1 FROM sectors_sealtarget WHERE look_at <= $2
"""
"""A lease ran out, of a job or of sector numbers, or a target is to be looked at.

The first of the leases: PostgreSQL, which plans this for any hour, takes a third of them for lapsed and would
look for one in the whole table, through millions of finished jobs.
"""

ALLOCATIONS: Final = """
    SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM sectors_allocationsread WHERE due_at > $2)
"""
"""The allocations for our miners are to be read once more."""

ACTIVE: Final = """
    SELECT 1 FROM miners_chainroots roots
        JOIN miners_miner miner ON miner.id = roots.miner_id AND miner.state = 'ACTIVE'
        LEFT JOIN sectors_activesectors known ON known.miner_id = roots.miner_id
        WHERE known.root IS DISTINCT FROM roots.deadlines OR known.compared_height IS NULL
            OR ($1 + roots.miner_id) / $3 <> (known.compared_height + roots.miner_id) / $3
            OR known.next_number IS NOT NULL
"""
"""A miner's deadlines moved, a period began since all its rows were compared, or some are still to be."""

"""Questions by which the follower tells whether a step of sealing finds work: apps/chain/steps.py."""

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
        WHERE batch.state = 'LANDED' AND batch.landed_height >= $1 - $3 AND message.state <> 'LANDED'
    UNION ALL SELECT 1 FROM sectors_sectorchange WHERE state IN ('TERMINATE_QUEUED', 'EXTEND_QUEUED')
    UNION ALL SELECT 1 FROM pieces_piece WHERE state IN ('READY', 'PACKED')
    UNION ALL SELECT 1 FROM messages_recovery WHERE sectors_since IS NOT NULL
    UNION ALL SELECT 1 FROM sectors_hostinventory inventory
        JOIN messages_recovery recovery ON inventory.told_at >= recovery.restored_at
        WHERE inventory.imported_at IS NULL OR inventory.imported_at < recovery.restored_at
"""
"""A sector, a batch or a run is on its way, a sector has no deadline, a landed batch's message left the
chain, a termination or extension waits for its message, a piece waits for a sector or is in one that is
sealed, sectors are read back after a restore, or a host has reported its disk since."""

BATCH: Final = """
    SELECT 1 FROM sectors_sector WHERE state IN ('PERSISTED', 'C2_DONE') AND paused_at IS NULL
"""
"""A sector waits for a batch."""

SWEEP: Final = """
    SELECT 1 FROM sectors_job WHERE state = 'LEASED' AND lease_until < $2
    UNION ALL SELECT 1 FROM sectors_numberreservation WHERE state = 'RESERVED' AND expires_at < $2
"""
"""A lease ran out, of a job or of sector numbers."""

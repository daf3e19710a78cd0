"""Questions by which the follower tells whether a step of proving finds work: apps/chain/steps.py."""

from __future__ import annotations

from typing import Final

POSTS: Final = """
    SELECT 1 FROM proving_windowpost WHERE state IN ('PROVING', 'PROVED', 'SENT', 'NOTHING')
    UNION ALL SELECT 1 FROM proving_recovery WHERE state IN ('CHECKING', 'GOOD', 'SENT', 'LANDED')
    UNION ALL SELECT 1 FROM proving_windowpost post
        LEFT JOIN messages_message message ON message.id = post.message_id
        WHERE post.state = 'LANDED' AND post.landed_height >= $1 - $3 AND NOT coalesce(
            message.state = 'LANDED' AND message.exit_code = 0 AND message.height = post.landed_height, false)
    UNION ALL SELECT 1 FROM proving_deadline deadline
        JOIN miners_miner miner ON miner.id = deadline.miner_id AND miner.state = 'ACTIVE'
        WHERE deadline.challenge_epoch <= $1 AND deadline.close_epoch >= $1 - 10 AND deadline.live > 0
            AND NOT EXISTS (SELECT 1 FROM proving_windowpost post WHERE post.miner_id = deadline.miner_id
                AND post.deadline_index = deadline.index AND post.open_epoch = deadline.open_epoch)
"""
"""A proof or a recovery is on its way, a landed proof does not stand where its message does, or a window with
sectors is challenged and has no proof yet.  The running epoch is at most ten past the newest head."""

CHECKS: Final = """
    SELECT 1 FROM proving_checkrun WHERE state = 'RUNNING'
    UNION ALL SELECT 1 FROM proving_faultdeclaration WHERE state IN ('DECIDED', 'SENT', 'LANDED')
    UNION ALL SELECT 1 FROM proving_deadline deadline
        JOIN miners_miner miner ON miner.id = deadline.miner_id AND miner.state = 'ACTIVE'
        WHERE deadline.cutoff_epoch > $1 AND deadline.live > 0
            AND deadline.cutoff_epoch - 2 * (deadline.close_epoch - deadline.open_epoch) <= $1
            AND deadline.checked_open IS DISTINCT FROM deadline.open_epoch
    UNION ALL SELECT 1 FROM proving_deadline deadline
        WHERE deadline.close_epoch > $1 AND deadline.live > 0
            AND deadline.cutoff_epoch - 2 * (deadline.close_epoch - deadline.open_epoch) <= $1
            AND $1 % greatest((deadline.close_epoch - deadline.open_epoch) / 12, 4) = 0
    UNION ALL SELECT 1 FROM proving_sectorcheck seen
        JOIN proving_deadline deadline
            ON deadline.miner_id = seen.miner_id AND deadline.index = seen.deadline_index
        WHERE NOT seen.is_good AND deadline.cutoff_epoch > $1
            AND deadline.cutoff_epoch - (deadline.close_epoch - deadline.open_epoch) <= $1
"""
"""A look at sectors runs or is due, a declaration is on its way, a window is near,
or a bad sector's cut-off is.  The
spans are those of apps/proving/policy.py, the last one a little longer."""

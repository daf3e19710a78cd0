"""Queries by which a head decides whether a step of proving has work: apps/chain/heads/steps.py."""

from __future__ import annotations

from typing import Final

from apps.core.reasons import code_sql
from apps.proving.reasons import WAITS_TO_OPEN
from apps.sectors.rules.policy import sealing_policy
from apps.sectors.selectors.proof_forms import FORMS_HERE

MOVING: Final = """
    SELECT post.id FROM proving_windowpost post WHERE state IN ('PROVING', 'PROVED', 'SENT', 'NOTHING')
    UNION ALL SELECT post.id FROM proving_windowpost post
        LEFT JOIN messages_message message ON message.id = post.message_id
        WHERE post.state = 'LANDED' AND post.close_epoch >= $1 - $3 AND post.landed_height >= $1 - $3 AND NOT
            coalesce(message.state = 'LANDED' AND message.exit_code = 0
                AND message.height = post.landed_height, false)
    UNION ALL SELECT post.id FROM proving_windowpost post
        JOIN messages_message message ON message.id = post.message_id
        WHERE post.state = 'MISSED' AND post.close_epoch >= $1 - $3
            AND message.state = 'LANDED' AND message.exit_code = 0
"""
"""Proofs that are on their way, landed ones that do not stand where their messages do, and missed ones that
have landed in time on the branch which a reorganisation chose after the window."""

IS_OWN: Final = """deadline.open_epoch >= coalesce(miner.works_from, deadline.open_epoch)
                AND deadline.open_epoch < coalesce(miner.works_until, deadline.open_epoch + 1)"""
"""The pool proves the window: `Miner.works_at`."""

POSTS: Final = f"""
    {MOVING}
    UNION ALL SELECT 1 FROM proving_recovery WHERE state IN ('CHECKING', 'GOOD', 'SENT', 'LANDED')
    UNION ALL SELECT 1 FROM proving_deadline deadline
        JOIN miners_miner miner ON miner.id = deadline.miner_id AND miner.state = 'ACTIVE'
        WHERE deadline.challenge_epoch <= $1 AND deadline.close_epoch >= $1 - 10 AND deadline.live > 0
            AND {IS_OWN}
            AND NOT EXISTS (SELECT 1 FROM proving_windowpost post WHERE post.miner_id = deadline.miner_id
                AND post.deadline_index = deadline.index AND post.open_epoch = deadline.open_epoch)
"""  # noqa: S608  # a constant
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
"""A check of sectors runs or is due, a declaration is on its way, a window is near,
or a bad sector's cut-off is.  The
spans are those of apps/proving/rules/policy.py, the last one a little longer."""

REFRESH: Final = f"""
    SELECT 1 FROM miners_chainroots roots
        JOIN miners_miner miner ON miner.id = roots.miner_id AND miner.state = 'ACTIVE'
        LEFT JOIN proving_followedwindows known ON known.miner_id = roots.miner_id
        WHERE miner.proving_period_start IS NOT NULL
            AND (known.root IS DISTINCT FROM roots.deadlines OR known.next_close <= $1)
    UNION ALL SELECT 1 FROM proving_deadline deadline
        JOIN miners_miner miner ON miner.id = deadline.miner_id AND miner.state = 'ACTIVE'
        WHERE deadline.faulty > 0 OR deadline.live = 0 AND deadline.forecast <> 'nothing'
            OR deadline.live > 0 AND deadline.forecast = 'elsewhere' AND ({IS_OWN})
            OR deadline.live > 0 AND deadline.forecast <> 'elsewhere' AND NOT ({IS_OWN})
            OR deadline.live > 0 AND deadline.challenge_epoch <= $1 AND ({IS_OWN}) AND NOT (
                (deadline.forecast = 'landed'
                    OR ({code_sql("deadline.reason")}) = '{WAITS_TO_OPEN.code}' AND deadline.open_epoch > $1)
                AND NOT EXISTS (SELECT 1 FROM proving_windowpost post WHERE post.miner_id = deadline.miner_id
                    AND post.deadline_index = deadline.index AND post.open_epoch = deadline.open_epoch
                    AND post.state <> 'LANDED'
                    AND (deadline.forecast = 'landed' OR post.state <> 'PROVED' OR post.skipped <> '{{}}')))
            OR deadline.live > 0 AND deadline.challenge_epoch > $1 AND ({IS_OWN}) AND deadline.forecast <>
                CASE WHEN EXISTS (SELECT 1 FROM sectors_worker host WHERE host.tenant_id = miner.tenant_id
                    AND host.kinds @> '["window_post"]' AND host.retired_at IS NULL AND NOT host.is_paused
                    AND host.seen_at >= $2 - interval '{sealing_policy().worker_away_s} seconds'
                    AND coalesce(coalesce(host.hardware->'proofs', '["vanilla"]') ?| ({FORMS_HERE}), true))
                THEN 'later' ELSE 'at_risk' END
"""  # noqa: S608  # a constant
"""A miner's deadlines moved, a window has closed, sectors are faulty, or a forecast may be another one: its
window went to another program or came from one, it is of a challenged window whose proof has not landed and
does not just wait, or does not go with the provers that are heard of and whose proofs the network takes."""

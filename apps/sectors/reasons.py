"""Why sectors, what is done with them, and the hosts and stores that have them, are as they are."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_noop

from apps.core.reasons import QUOTED, reason

# What sectors wait for, and why they are paused
SECTOR_FAULTY = reason(
    "sectors.sector_faulty",
    gettext_noop("its sector is faulty: the update waits until it is proven again"),
)
REPLICA_STAYS = reason(
    "sectors.replica_stays",
    gettext_noop("the data is in, but the old replica is not cleared: {reason}"),
)
PAUSED_BY = reason("sectors.paused_by", gettext_noop("paused by {actor}"))
INCOMPLETE = reason(
    "sectors.incomplete",
    gettext_noop("its comm_r, comm_d or ticket is not known here: go back to an earlier state"),
)
PROOF_ABSENT = reason(
    "sectors.proof_absent", gettext_noop("its proof is not here: go back to an earlier state")
)
PROOF_EXPIRED = reason(
    "sectors.proof_expired",
    gettext_noop("the chain accepted its proof only until epoch {precommit_epoch}: abort it"),
)
C1_REPEATED = reason(
    "sectors.c1_repeated",
    gettext_noop("its host no longer has a slot for C2: C1 is repeated, and its output goes to another host"),
)
C2_STUCK = reason(
    "sectors.c2_stuck",
    gettext_noop(
        "its host has no slot for C2, and its C1 output never reached the console: give the host a slot, "
        "then retry"
    ),
)
NO_FILES = reason(
    "sectors.no_files",
    gettext_noop(
        "the restored database did not know this sector, and no sealing host has reported its files: start "
        "the host that has them, or abort the sector; the chain keeps its deposit when the pre-commit expires"
    ),
)
NO_AGGREGATOR = reason(
    "sectors.no_aggregator",
    gettext_noop(
        "no prover can make the aggregate that its commit needs: prepare the aggregation parameters on "
        "one (workers params), or have its miner seal interactively"
    ),
)
COMM_R_DIFFERS = reason(
    "sectors.comm_r_differs",
    gettext_noop("the rebuild produced comm_r {made}, but the chain has {wanted}"),
)

# What their messages did
NODE_REFUSES = reason("sectors.node_refuses", gettext_noop("the node refuses: {reason}"))
WOULD_REFUSE = reason("sectors.would_refuse", gettext_noop("the chain would refuse the {message}: {error}"))
WOULD_REFUSE_UPDATE = reason(
    "sectors.would_refuse_update", gettext_noop("the chain would refuse the update: {error}")
)
WOULD_REFUSE_IT = reason("sectors.would_refuse_it", gettext_noop("the chain would refuse it: {error}"))
MESSAGE_WAS = reason("sectors.message_was", gettext_noop("the message was {state}"))
MESSAGE_ENDED = reason("sectors.message_ended", gettext_noop("the message ended with {exit_code}"))
BEFORE_THAT = reason("sectors.before_that", gettext_noop("{words}; before that: {error}"))
EXPIRED_UNSENT = reason("sectors.expired_unsent", gettext_noop("expired before it was sent"))
DEADLINE_CLOSED = reason(
    "sectors.deadline_closed", gettext_noop("its deadline stopped accepting changes before it was sent")
)
DEADLINE_FIXED = reason("sectors.deadline_fixed", gettext_noop("its deadline cannot be changed now"))
MESSAGE_UNKNOWN = reason("sectors.message_unknown", gettext_noop("its message is not known"))
BALANCE_SHORT = reason(
    "sectors.balance_short", gettext_noop("the miner's balance no longer covers its share")
)
TOO_MUCH = reason("sectors.too_much", gettext_noop("the message needs more funds or gas than there is now"))
NOT_ON_CHAIN = reason(
    "sectors.not_on_chain", gettext_noop("the message landed, but the sector is not on chain")
)
UNCHANGED = reason(
    "sectors.unchanged", gettext_noop("the message landed, but the sector is unchanged on chain")
)
UPDATE_ABSENT = reason(
    "sectors.update_absent", gettext_noop("the message landed, but the chain does not have the update")
)
REORGANISED = reason("sectors.reorganised", gettext_noop("the message left the chain in a reorganisation"))
PRECOMMIT_GONE = reason("sectors.precommit_gone", gettext_noop("the pre-commit is no longer on chain"))
PRECOMMIT_MOVED = reason(
    "sectors.precommit_moved",
    gettext_noop("the pre-commit is at epoch {epoch} instead of {precommit_epoch}"),
)
FAILED_LANDED = reason("sectors.failed_landed", gettext_noop("a message marked failed has landed"))
BATCH_FAILED = reason("sectors.batch_failed", gettext_noop("its batch has failed"))
OVERTAKEN = reason(
    "sectors.overtaken", gettext_noop("its sectors were already on chain; read back after a restore")
)
ENDED_ON_CHAIN = reason("sectors.ended_on_chain", gettext_noop("it has already ended on chain"))
EXPIRES_FIRST = reason(
    "sectors.expires_first", gettext_noop("it expires at epoch {end}, before it could be terminated")
)
SNAP_UP_UNDER_WAY = reason(
    "sectors.snap_up_under_way",
    gettext_noop("clients' data are on their way into it: abort its snap-up first"),
)
TERMINATION_UNDER_WAY = reason(
    "sectors.termination_under_way", gettext_noop("its termination is already in progress")
)
EXTENSION_UNDER_WAY = reason(
    "sectors.extension_under_way", gettext_noop("its extension is already in progress")
)
IS_TERMINATED = reason("sectors.is_terminated", gettext_noop("it is already terminated"))
WAS_ABORTED = reason("sectors.was_aborted", gettext_noop("it was aborted"))
NOT_PROVEN = reason(
    "sectors.not_proven", gettext_noop("it is not proven yet: wait for its commit, or abort it")
)
EXITED_WITH = reason("sectors.exited_with", gettext_noop("exit code {exit_code}"))
NO_SECTORS = reason("sectors.no_sectors", gettext_noop("no sectors were given"))

# Why a sector cannot be extended so
IS_FAULTY = reason("sectors.is_faulty", gettext_noop("it is faulty: extend it once it has recovered"))
NO_WINDOW_YET = reason(
    "sectors.no_window_yet", gettext_noop("it is not proven yet: extend it after its first window")
)
EXPIRES_THEN = reason("sectors.expires_then", gettext_noop("it already expires at epoch {expiration}"))
CLAIM_SHORT = reason(
    "sectors.claim_short",
    gettext_noop("claim {claim} lasts only until epoch {last}: extend to that epoch, or drop the claim"),
)
CLAIM_HELD = reason(
    "sectors.claim_held", gettext_noop("claim {claim} can be dropped only in the sector's last 30 days")
)
DONE_ON_CHAIN = reason("sectors.done_on_chain", gettext_noop("already done on chain by an earlier message"))
ALREADY_ON_CHAIN = reason("sectors.already_on_chain", gettext_noop("it is already on chain"))
GONE_FROM_CHAIN = reason("sectors.gone_from_chain", gettext_noop("the sector is no longer on chain"))
EXPIRED = reason("sectors.expired", gettext_noop("it has expired"))
DATA_LATE = reason(
    "sectors.data_late", gettext_noop("its data had to be active by epoch {last}, which has passed")
)
TICKET_OLD = reason("sectors.ticket_old", gettext_noop("the ticket is older than {epochs} epochs"))
OTHER_SEED = reason("sectors.other_seed", gettext_noop("the proof is for a different seed"))
OTHER_TICKET = reason("sectors.other_ticket", gettext_noop("the proof is for a different ticket"))
ONE_PROOF = reason("sectors.one_proof", gettext_noop("one proof for {sectors}"))
ONE_PROOF_SAVES = reason(
    "sectors.one_proof_saves",
    gettext_noop("one proof for {sectors}, saving {gas} gas over single proofs"),
)
PAID_BY = reason(
    "sectors.paid_by",
    gettext_noop("{balance} from the miner's balance, {amount} sent with the message"),
)

# Why a job is not needed any more
NONE_WAITS = reason("sectors.none_waits", gettext_noop("one of its sectors is no longer waiting"))
SINGLE_PROOFS = reason("sectors.single_proofs", gettext_noop("these sectors are sent with single proofs"))
OTHER_SECTORS = reason("sectors.other_sectors", gettext_noop("a different set of sectors is sent now"))
AGGREGATE_LATE = reason("sectors.aggregate_late", gettext_noop("it is late: requesting it from another host"))
AGGREGATE_FAILED = reason("sectors.aggregate_failed", gettext_noop("it failed: requesting it again"))
NOT_NEEDED = reason("sectors.not_needed", gettext_noop("no longer needed"))
BATCH_CREATED = reason("sectors.batch_created", gettext_noop("its batch was created"))

# How rows followed the chain and restores
ADOPTED = reason("sectors.adopted", gettext_noop("adopted: it was on chain, but not recorded here"))
READ_BACK = reason("sectors.read_back", gettext_noop("read back after a restore"))
CHANGED_ON_CHAIN = reason("sectors.changed_on_chain", gettext_noop("changed on chain, but not by the pool"))
DATA_UNKNOWN = reason(
    "sectors.data_unknown",
    gettext_noop("the chain has data in it, from a message unknown here: which data is not known"),
)

# What hosts did
WORKER_RETIRED = reason("sectors.worker_retired", gettext_noop("the worker was retired"))
WORKER_RESTARTED = reason("sectors.worker_restarted", gettext_noop("the worker was restarted"))
DATABASE_RESTORED = reason(
    "sectors.database_restored", gettext_noop("the database was restored from a backup")
)
ROLE_CHANGED = reason("sectors.role_changed", gettext_noop("role {kind} of {miner}: {note}"))
HOST_GONE = reason(
    "sectors.host_gone",
    gettext_noop("its host is no longer available: other hosts with the sector's store start over"),
)
HOST_RETIRED = reason("sectors.host_retired", gettext_noop("{host} was retired"))
HOST_DRAINING = reason("sectors.host_draining", gettext_noop("{host} is draining"))
HOST_OFFLINE = reason("sectors.host_offline", gettext_noop("{host} is offline"))
STARTED_OVER = reason("sectors.started_over", gettext_noop("{why}: another host starts it over"))
FILES_STAY = reason(
    "sectors.files_stay", gettext_noop("{host} was retired: its files of the sector stay there")
)
SEALED_AGAIN = reason(
    "sectors.sealed_again",
    gettext_noop("another proof is needed, and the sealing files were cleared: it is sealed again"),
)
REQUESTS_REFUSED = reason(
    "sectors.requests_refused",
    gettext_noop("{text}; until then its requests are refused, as {field} is unknown"),
)
HOST_OLDER = reason(
    "sectors.host_older",
    gettext_noop("this host runs {host}, older than the console ({console}): upgrade the host"),
)
HOST_NEWER = reason(
    "sectors.host_newer",
    gettext_noop(
        "this host runs a newer version ({host}) than the console ({console}): upgrade the console first"
    ),
)
CONSOLE_OLDER = reason(
    "sectors.console_older",
    gettext_noop("this host is newer than the console ({console}): upgrade the console first"),
)
ITS_HOST_OFFLINE = reason("sectors.its_host_offline", gettext_noop("its host is offline"))
ITS_HOST_RETIRED = reason("sectors.its_host_retired", gettext_noop("its host was retired"))
STORE_DETACHED = reason("sectors.store_detached", gettext_noop("{host} no longer has the store"))
NOT_REPORTED = reason("sectors.not_reported", gettext_noop("the host did not report on it"))

# What lies in stores
FILES_IN = reason("sectors.files_in", gettext_noop("its files are in {store}"))
FILES_MOVED = reason("sectors.files_moved", gettext_noop("its files are in {store}, not in {before}"))
FILES_ELSEWHERE = reason(
    "sectors.files_elsewhere", gettext_noop("{note}: its files are in {store}, not in {before}")
)
MISSING_IN = reason("sectors.missing_in", gettext_noop("missing in {store}"))
FOUND_IN = reason("sectors.found_in", gettext_noop("in {store}"))
STORE_LOST = reason("sectors.store_lost", gettext_noop("its store {store} was lost"))
OTHER_STORE_LOST = reason("sectors.other_store_lost", gettext_noop("the store {store} was lost"))
READ_AGAIN = reason(
    "sectors.read_again", gettext_noop("it was forgotten and can be read again, with {sectors}")
)
RENAMED = reason("sectors.renamed", gettext_noop("renamed from {store}"))
LABELS = reason("sectors.labels", gettext_noop("labels: {labels}"))
BY = reason("sectors.by", gettext_noop("by {actor}"))
SECTOR = reason("sectors.sector", gettext_noop("sector {sector}"))
LEFTOVER = reason("sectors.leftover", gettext_noop("{sector}, {size} bytes"))

# What scans and checks of stores came to
TOO_MANY_REPORTED = reason(
    "sectors.too_many_reported",
    gettext_noop("the host reported {count} sectors; at most {limit} are read"),
)
AS_RECORDED = reason("sectors.as_recorded", gettext_noop("{sectors} as recorded"))
LISTED_ELSEWHERE = reason("sectors.listed_elsewhere", gettext_noop("{count} listed in another store"))
COUNT_MISSING = reason("sectors.count_missing", gettext_noop("{count} missing"))
COUNT_UNKNOWN = reason("sectors.count_unknown", gettext_noop("{count} unknown"))
NOTHING_FOUND = reason(
    "sectors.nothing_found",
    gettext_noop(
        "none of the sectors recorded here was found: nothing was dropped; mount what is missing, or "
        "forget the store"
    ),
)
SCAN_CANCELLED = reason("sectors.scan_cancelled", gettext_noop("its scan was cancelled: redeclare the store"))
OTHER_SCAN = reason("sectors.other_scan", gettext_noop("another scan of the store was started: redeclare it"))
MOVED_HERE = reason("sectors.moved_here", gettext_noop("it was moved here during the check"))
COUNTS_CHECKED = reason(
    "sectors.checked", gettext_noop("{done} of {total} sectors checked, {bad} with bad files")
)
CHECKED_IN_PART = reason(
    "sectors.checked_in_part",
    gettext_noop("{done} of {total} sectors checked, {bad} with bad files, {unread} could not be read"),
)
FILE_STATE = reason("sectors.file_state", "{name} {state}")
FILES_NONE = reason("sectors.files_none", gettext_noop("no files"))
FILES_THERE = reason("sectors.files_there", gettext_noop("its files are there: scan again"))
RECORD_GONE = reason("sectors.record_gone", gettext_noop("its record no longer exists"))
CHANGED_MEANWHILE = reason(
    "sectors.changed_meanwhile", gettext_noop("the sector changed in the meantime: scan again")
)
WITHDRAWN = reason("sectors.withdrawn", gettext_noop("withdrawn: {fault}"))

# What moves between stores came to
BEING_CHANGED = reason(
    "sectors.being_changed", gettext_noop("a snap-up or rebuild of the sector is in progress")
)
SECTOR_OF = reason("sectors.sector_of", gettext_noop("sector {number}: {error}"))
COPY_REMOVED = reason("sectors.copy_removed", gettext_noop("its partial copy was removed"))
ROOM_PROMISED: Final = f"{QUOTED}host.room_promised"
"""Code of a host's fault: there is room once sectors on their way have come, or will not."""
NO_ROOM = reason(
    "sectors.no_room",
    gettext_noop("waiting for room; retries every minute and gives up at {until} UTC: {error}"),
)
MOVED_TO = reason("sectors.moved_to", gettext_noop("sector {number} to {store}"))
NOT_MOVED_TO = reason("sectors.not_moved_to", gettext_noop("sector {number} to {store}: {error}"))
MOVE_LOST = reason(
    "sectors.move_lost",
    gettext_noop("the sector has ended, is in another store by now, or belongs to another tenant"),
)
COPY_LEFT = reason(
    "sectors.copy_left",
    gettext_noop("{why}: the copy was not finished, its partial files are left in {store}"),
)
COPY_LEFT_AWHILE = reason(
    "sectors.copy_left_awhile",
    gettext_noop(
        "{why}: the copy was not finished, its partial files are left in {store} until that host is back"
    ),
)
OLD_COPY_LEFT = reason("sectors.old_copy_left", gettext_noop("{why}: the old copy is left in {store}"))

# Why a target pledges nothing
TARGET_OVER = reason("sectors.target_over", gettext_noop("its end date, {time} UTC, has passed"))
POWER_REACHED = reason("sectors.power_reached", gettext_noop("the power limit of {size} is reached"))
BASE_FEE_HIGH = reason("sectors.base_fee_high", gettext_noop("the base fee is {fee}, above {most}"))
PAYER_SHORT = reason(
    "sectors.payer_short",
    gettext_noop("{payer} has {balance} FIL, {promised} of it committed; a sector needs {needs}"),
)
PAYER_KEEPS = reason(
    "sectors.payer_keeps",
    gettext_noop(
        "{payer} has {balance} FIL, {promised} of it committed; a sector needs {needs} on top of the {keep} "
        "to keep"
    ),
)
NO_SEALING_HOST = reason("sectors.no_sealing_host", gettext_noop("no sealing host accepts new sectors"))
DISK_SHORT = reason("sectors.disk_short", gettext_noop("{hosts} short of disk"))

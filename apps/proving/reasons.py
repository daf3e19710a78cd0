"""Why proofs, windows, checks and declarations are as they are."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from apps.core.reasons import ngettext_noop, reason

# What a next proof lacks
NO_PROVER_ASSIGNED = reason(
    "proving.no_prover_assigned",
    gettext_noop("no prover assigned to it whose proofs the network accepts is connected"),
)
NO_SIGNER = reason("proving.no_signer", gettext_noop("no signer holds {sender}"))
BALANCE_LOW = reason(
    "proving.balance_low",
    gettext_noop("{sender} has {balance} FIL; the next proof may cost {need} FIL"),
)
HEAD_OLD = reason("proving.head_old", gettext_noop("{word} for {old_s} s"))
ADDRESS_STOPPED = reason("proving.address_stopped", gettext_noop("{sender} is stopped"))
NONCE_GAP = reason(
    "proving.nonce_gap", gettext_noop("{sender} has a nonce gap at {gap}: later messages are blocked")
)
POLICY_REFUSES = reason(
    "proving.policy_refuses", gettext_noop("the signer would refuse deadline {index}'s proof: {reason}")
)
STORE_WITHOUT_PROVER = reason(
    "proving.store_without_prover", gettext_noop("no prover assigned to it has the store {missing}")
)
STORES_ON_NO_PROVER = reason(
    "proving.stores_on_no_prover",
    gettext_noop("no prover assigned to it has all of its stores: {stores}"),
)

# What hosts did
SECTORS = reason("proving.sectors", *ngettext_noop("sector {numbers}", "sectors {numbers}"))
NO_PROGRESS = reason(
    "proving.no_progress", gettext_noop("no progress on {host} since epoch {moved_height} ({count})")
)
NO_PROGRESS_REPORTED = reason(
    "proving.no_progress_reported", gettext_noop("no progress reported by {host} since epoch {moved_height}")
)
LONG_PROVING = reason(
    "proving.long_proving", gettext_noop("{host} has been proving since epoch {claimed_height}")
)
TOO_SLOW = reason(
    "proving.too_slow",
    gettext_noop("{host} is too slow to finish in time; proving since epoch {claimed_height}"),
)
MOVES_AGAIN = reason("proving.moves_again", gettext_noop("{first} is making progress again"))
ALSO_ON = reason("proving.also_on", gettext_noop("{reason}; also running on {backup}"))
NO_OTHER_PROVER = reason(
    "proving.no_other_prover", gettext_noop("{reason}: no other prover with its store is connected")
)
NOBODY_TAKES_OVER = reason("proving.nobody_takes_over", gettext_noop("no other prover can take it over"))
NO_HEARTBEATS = reason("proving.no_heartbeats", gettext_noop("its host stopped sending heartbeats"))
OFFERED_TO_ALL = reason(
    "proving.offered_to_all", gettext_noop("{reason}: no other prover claimed it, now offered to all")
)
OFFERED_TO = reason("proving.offered_to", gettext_noop("{reason}: offered to {others}"))
OFFERED_AGAIN = reason("proving.offered_again", gettext_noop("{reason}: cancelled and offered again"))
CANCELLED = reason("proving.cancelled", gettext_noop("{reason}: cancelled"))
UNCLAIMED = reason("proving.unclaimed", gettext_noop("no host claimed it in time"))
NO_PROOF_MADE = reason("proving.no_proof_made", gettext_noop("no proof was made: {error}"))
PROVING_SEPARATELY = reason(
    "proving.proving_separately", gettext_noop("proving separately from partition {partition}: {error}")
)
INVALID_PROOF = reason("proving.invalid_proof", gettext_noop("invalid proof from {host}: {bad}"))
PROOF_FROM = reason("proving.proof_from", gettext_noop("using the proof from {host}"))

# What sectors' files are like
NOTHING_READ = reason("proving.nothing_read", gettext_noop("{host} cannot read any of the sectors"))
OUTSIDE_SECTORS = reason("proving.outside_sectors", gettext_noop("{host} reports sectors outside this proof"))
FILES_UNREAD = reason("proving.files_unread", gettext_noop("files of sectors {faults} cannot be read"))
STILL_UNREAD = reason("proving.still_unread", gettext_noop("they still cannot be read"))
NO_BETTER_PROOF = reason("proving.no_better_proof", gettext_noop("no better proof was made in time"))
ALL_UNREAD = reason("proving.all_unread", gettext_noop("no sectors can be read now"))
NONE_PROVABLE = reason("proving.none_provable", gettext_noop("no sectors in these partitions can be proved"))
PARTITION_UNREAD = reason(
    "proving.partition_unread", gettext_noop("no sectors in this partition can be read")
)
CHECKED_AGAIN = reason(
    "proving.checked_again",
    *ngettext_noop(
        "checked {sectors} again: it still cannot be read",
        "checked {sectors} again: they still cannot be read",
    ),
)
READ_AGAIN = reason(
    "proving.read_again", gettext_noop("{sectors} can be read again: proving again with them")
)
FALLBACK_USED = reason("proving.fallback_used", gettext_noop("{why}: using the proof without these sectors"))

# What messages and the chain did
NOT_SENT = reason("proving.not_sent", gettext_noop("not sent: {error}"))
ON_CHAIN_IN_PART = reason(
    "proving.on_chain_in_part", gettext_noop("the chain already has a proof of partitions {done}")
)
ON_CHAIN = reason("proving.on_chain", gettext_noop("the chain already has the proof"))
TRANSFERRED = reason("proving.transferred", gettext_noop("the miner was transferred"))
RANDOMNESS_CHANGED = reason("proving.randomness_changed", gettext_noop("the chain's randomness has changed"))
WOULD_FAIL = reason("proving.would_fail", gettext_noop("the node expects the message to fail: {error}"))
MESSAGE_WAS = reason("proving.message_was", gettext_noop("the message was {state}"))
MESSAGE_ENDED = reason("proving.message_ended", gettext_noop("the message ended with {exit_code}"))
RESENDING = reason("proving.resending", gettext_noop("resending: {reason}"))
OTHER_SENDER = reason("proving.other_sender", gettext_noop("sending from another address: {error}"))
SENDER_STOPPED = reason("proving.sender_stopped", gettext_noop("its sender is stopped"))
GONE_FROM_CHAIN = reason("proving.gone_from_chain", gettext_noop("the chain no longer has the proof"))
CHALLENGE_CHANGED = reason("proving.challenge_changed", gettext_noop("the chain's challenge has changed"))
MISSED = reason("proving.missed", gettext_noop("the window closed without a proof"))
DEBT_CHANGED = reason("proving.debt_changed", gettext_noop("the miner's debt has changed"))

# What checks, recoveries and declarations came to
JOB_GONE = reason("proving.job_gone", gettext_noop("its job no longer exists"))
NO_HOST_CHECKS = reason("proving.no_host_checks", gettext_noop("no host could run the check"))
CHECK_LATE = reason("proving.check_late", gettext_noop("no host ran the check in time"))
STORE_AWAY = reason(
    "proving.store_away", gettext_noop("sectors {numbers} may be in a store that is unavailable")
)
UNREAD = reason("proving.unread", gettext_noop("the files cannot be read"))
GOOD_COPY = reason("proving.good_copy", gettext_noop("{reason}; {name} has a good copy"))
PROOF_INVALID = reason("proving.proof_invalid", gettext_noop("the proof is invalid: {wrong}"))
SECTORS_GONE = reason("proving.sectors_gone", gettext_noop("the sectors are no longer on chain"))
CUTOFF_PASSED = reason(
    "proving.cutoff_passed", gettext_noop("the cutoff passed before the declaration landed")
)
NOT_PROVED = reason("proving.not_proved", gettext_noop("not proved in the window"))
NOT_CHECKED = reason("proving.not_checked", gettext_noop("no prover checked the files in time"))
DAMAGED = reason("proving.damaged", gettext_noop("the files are damaged: {bad}"))

# Forecasts of windows
NO_SECTORS = reason("proving.no_sectors", gettext_noop("no sectors"))
PROVED = reason("proving.proved", gettext_noop("proved"))
PROVED_IN_PART = reason("proving.proved_in_part", gettext_noop("proved, {left_out}"))
FILES_GONE = reason(
    "proving.files_gone", gettext_noop("no sector can be proved: files are missing or damaged")
)
ALL_FAULTY = reason("proving.all_faulty", gettext_noop("all its sectors are faulty"))
NO_PROVER = reason(
    "proving.no_prover", gettext_noop("no prover whose proofs the network accepts is connected")
)
NOT_BEGUN = reason(
    "proving.not_begun", gettext_noop("no proof was begun since the challenge at epoch {epoch}")
)
ABOUT_TO_PROVE = reason("proving.about_to_prove", gettext_noop("about to be proved"))
CHALLENGED_AT = reason("proving.challenged_at", gettext_noop("challenged at epoch {challenge_epoch}"))
MISS_LIKELY = reason(
    "proving.miss_likely", gettext_noop("{miss:.0%} chance of missing the window, from measured times")
)
PROVING_FAILED = reason("proving.proving_failed", gettext_noop("proving failed: {error}"))
OF_PARTITION = reason("proving.of_partition", gettext_noop("partition {partitions}: {reason}"))
TRIES_FAILED = reason(
    "proving.tries_failed",
    *ngettext_noop("{tries} attempt failed: {error}", "{tries} attempts failed: {error}"),
    counted="tries",
)
NOT_SENT_YET = reason("proving.not_sent_yet", gettext_noop("not sent yet, {left} epochs left"))
NOT_LANDED_YET = reason("proving.not_landed_yet", gettext_noop("not landed yet, {left} epochs left"))
LEFT_OUT = reason(
    "proving.left_out",
    *ngettext_noop(
        "{count} sector is left out: its files cannot be read",
        "{count} sectors are left out: their files cannot be read",
    ),
)
BEING_PROVED = reason("proving.being_proved", gettext_noop("being proved"))
WAITS_TO_OPEN = reason("proving.waits_to_open", gettext_noop("proved, waiting for the window to open"))
WAITS_FOR_BLOCK = reason("proving.waits_for_block", gettext_noop("sent, waiting for a block"))
POOL_PROVES_FROM = reason(
    "proving.pool_proves_from", gettext_noop("the pool proves windows from height {height} on")
)
HELD = reason("proving.held", gettext_noop("another program proves it until a height is set"))
OTHER_PROVES_FROM = reason(
    "proving.other_proves_from", gettext_noop("another program proves windows from height {height} on")
)

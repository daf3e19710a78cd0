"""Give the rows of before the codes of their reasons, by the texts of this version; in small steps, repeatable."""

from django.db import migrations

from apps.core.coded_rows import rows_code

TEXTS = {
    "proving.sectors": ["sector {numbers}", "sectors {numbers}"],
    "proving.no_progress": "no progress on {host} since epoch {moved_height} ({count})",
    "proving.no_progress_reported": "no progress reported by {host} since epoch {moved_height}",
    "proving.long_proving": "{host} has been proving since epoch {claimed_height}",
    "proving.too_slow": "{host} is too slow to finish in time; proving since epoch {claimed_height}",
    "proving.moves_again": "{first} is making progress again",
    "proving.also_on": "{reason}; also running on {backup}",
    "proving.no_other_prover": "{reason}: no other prover with its store is connected",
    "proving.nobody_takes_over": "no other prover can take it over",
    "proving.no_heartbeats": "its host stopped sending heartbeats",
    "proving.offered_to_all": "{reason}: no other prover claimed it, now offered to all",
    "proving.offered_to": "{reason}: offered to {others}",
    "proving.offered_again": "{reason}: cancelled and offered again",
    "proving.cancelled": "{reason}: cancelled",
    "proving.unclaimed": "no host claimed it in time",
    "proving.no_proof_made": "no proof was made: {error}",
    "proving.proving_separately": "proving separately from partition {partition}: {error}",
    "proving.invalid_proof": "invalid proof from {host}: {bad}",
    "proving.proof_from": "using the proof from {host}",
    "proving.nothing_read": "{host} cannot read any of the sectors",
    "proving.outside_sectors": "{host} reports sectors outside this proof",
    "proving.files_unread": "files of sectors {faults} cannot be read",
    "proving.still_unread": "they still cannot be read",
    "proving.no_better_proof": "no better proof was made in time",
    "proving.all_unread": "no sectors can be read now",
    "proving.none_provable": "no sectors in these partitions can be proved",
    "proving.partition_unread": "no sectors in this partition can be read",
    "proving.checked_again": [
        "checked {sectors} again: it still cannot be read",
        "checked {sectors} again: they still cannot be read",
    ],
    "proving.read_again": "{sectors} can be read again: proving again with them",
    "proving.fallback_used": "{why}: using the proof without these sectors",
    "proving.not_sent": "not sent: {error}",
    "proving.on_chain_in_part": "the chain already has a proof of partitions {done}",
    "proving.on_chain": "the chain already has the proof",
    "proving.transferred": "the miner was transferred",
    "proving.randomness_changed": "the chain's randomness has changed",
    "proving.would_fail": "the node expects the message to fail: {error}",
    "proving.message_was": "the message was {state}",
    "proving.message_ended": "the message ended with {exit_code}",
    "proving.resending": "resending: {reason}",
    "proving.other_sender": "sending from another address: {error}",
    "proving.sender_stopped": "its sender is stopped",
    "proving.gone_from_chain": "the chain no longer has the proof",
    "proving.challenge_changed": "the chain's challenge has changed",
    "proving.missed": "the window closed without a proof",
    "proving.debt_changed": "the miner's debt has changed",
    "proving.job_gone": "its job no longer exists",
    "proving.no_host_checks": "no host could run the check",
    "proving.check_late": "no host ran the check in time",
    "proving.store_away": "sectors {numbers} may be in a store that is unavailable",
    "proving.unread": "the files cannot be read",
    "proving.good_copy": "{reason}; {name} has a good copy",
    "proving.proof_invalid": "the proof is invalid: {wrong}",
    "proving.sectors_gone": "the sectors are no longer on chain",
    "proving.cutoff_passed": "the cutoff passed before the declaration landed",
    "proving.not_proved": "not proved in the window",
    "proving.not_checked": "no prover checked the files in time",
    "proving.damaged": "the files are damaged: {bad}",
    "proving.no_sectors": "no sectors",
    "proving.proved": "proved",
    "proving.proved_in_part": "proved, {left_out}",
    "proving.files_gone": "no sector can be proved: files are missing or damaged",
    "proving.all_faulty": "all its sectors are faulty",
    "proving.no_prover": "no prover whose proofs the network accepts is connected",
    "proving.not_begun": "no proof was begun since the challenge at epoch {epoch}",
    "proving.about_to_prove": "about to be proved",
    "proving.challenged_at": "challenged at epoch {challenge_epoch}",
    "proving.miss_likely": "{miss:.0%} chance of missing the window, from measured times",
    "proving.proving_failed": "proving failed: {error}",
    "proving.of_partition": "partition {partitions}: {reason}",
    "proving.tries_failed": ["{tries} attempt failed: {error}", "{tries} attempts failed: {error}"],
    "proving.not_sent_yet": "not sent yet, {left} epochs left",
    "proving.not_landed_yet": "not landed yet, {left} epochs left",
    "proving.left_out": [
        "{count} sector is left out: its files cannot be read",
        "{count} sectors are left out: their files cannot be read",
    ],
    "proving.being_proved": "being proved",
    "proving.waits_to_open": "proved, waiting for the window to open",
    "proving.waits_for_block": "sent, waiting for a block",
    "proving.pool_proves_from": "the pool proves windows from height {height} on",
    "proving.held": "another program proves it until a height is set",
    "proving.other_proves_from": "another program proves windows from height {height} on",
}
COLUMNS = (
    ("CheckRun", "error"),
    ("Deadline", "reason"),
    ("FaultDeclaration", "error"),
    ("PostNote", "words"),
    ("ProofAttempt", "reason"),
    ("Recovery", "error"),
    ("SectorCheck", "reason"),
    ("WindowPost", "error"),
)


def reasons_code(apps, schema_editor):
    for model, field in COLUMNS:
        rows_code(apps.get_model("proving", model), field, TEXTS)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("proving", "0006_reasons_coded")]

    operations = [migrations.RunPython(reasons_code, migrations.RunPython.noop)]

"""Why damocles-workers, and what they have in hand, are as they are."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from apps.core.reasons import reason

LACKS_FILES = reason("damocles.lacks_files", gettext_noop("store {store} lacks its files: {reason}"))
CANNOT_BE_READ = reason("damocles.cannot_be_read", gettext_noop("they cannot be read"))
WITHOUT_DATA = reason(
    "damocles.without_data",
    gettext_noop("its worker does not accept client data: set enable_deals there"),
)
GAVE_UP = reason("damocles.gave_up", gettext_noop("{worker} gave it up: {reason}"))
GIVEN_UP_ELSEWHERE = reason(
    "damocles.given_up_elsewhere",
    gettext_noop("given up by a worker at {address}, which does not have it: {reason}"),
)
NO_PROOF_NO_REASON = reason(
    "damocles.no_proof_no_reason", gettext_noop("the worker returned neither a proof nor a reason")
)
RESET_BY = reason("damocles.reset_by", gettext_noop("reset by {actor}"))
REMOVED_BY = reason("damocles.removed_by", gettext_noop("removed by {actor}"))
NO_SUCH_COMMAND = reason(
    "damocles.no_such_command", gettext_noop("damocles-workers do not support this command")
)
RESUBMITTED = reason("damocles.resubmitted", gettext_noop("its worker has submitted different commitments"))
HOST_BEFORE = reason("damocles.host_before", gettext_noop("previously on {host}, in {location}"))
FILES_SEEN = reason("damocles.files_seen", gettext_noop("in store {store} by {worker}"))
A_PROVER = reason("damocles.a_prover", gettext_noop("a prover"))
STORED_IN = reason("damocles.stored_in", gettext_noop("in store {store}"))
THREADS_FAIL = reason("damocles.threads_fail", gettext_noop("{errors} of {threads} threads have an error"))
NAMESAKES = reason(
    "damocles.namesakes",
    gettext_noop(
        "{count} damocles-workers ping as {name}, from {places}: set a unique worker.name in each one's "
        "file, and restart them"
    ),
)
AND_FROM = reason("damocles.and_from", gettext_noop("{one} and from {other}"))

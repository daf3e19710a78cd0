"""By what wins were lost, and why leases of fast finality are not renewed."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from apps.core.reasons import reason

# Rounds
FAULT_REFUSED = reason("blocks.fault_refused", gettext_noop("the signer refused: {reason}"))
EPOCH_ENDED = reason("blocks.epoch_ended", gettext_noop("the epoch ended before the block was signed"))
INTERRUPTED = reason(
    "blocks.interrupted",
    gettext_noop("the blocks process or its database stopped before a submission was recorded"),
)

# Leases
NOT_MINED = reason("blocks.not_mined", gettext_noop("no blocks are made for this miner"))
LEASED_ELSEWHERE = reason(
    "blocks.leased_elsewhere", gettext_noop("BLOCK_F3 is 0: another program manages its F3 lease")
)
NO_F3_NODE = reason("blocks.no_f3_node", gettext_noop("no node that runs F3 responds"))
RUNS_NO_F3 = reason("blocks.runs_no_f3", gettext_noop("this node does not run F3"))
NOT_ANSWERED = reason("blocks.not_answered", gettext_noop("the node did not respond"))
UNREADABLE = reason("blocks.unreadable", gettext_noop("the node's response could not be parsed"))
VOTER_AWAY = reason(
    "blocks.voter_away",
    gettext_noop("the node that votes for it is unavailable: another may vote from instance {instance} on"),
)
INSTANCE_UNKNOWN = reason(
    "blocks.instance_unknown",
    gettext_noop("the database was restored: no node in sync has reported the current instance yet"),
)
VOTERS_MANY = reason(
    "blocks.voters_many",
    gettext_noop(
        "the database was restored and {count} nodes vote for it:"
        " a lease is requested from instance {instance} on"
    ),
)
VOTER_UNKNOWN = reason(
    "blocks.voter_unknown",
    gettext_noop(
        "the database was restored and a node may vote for it:"
        " a lease is requested from instance {instance} on"
    ),
)

# Prices
PRICES_STATUS = reason("blocks.prices_status", gettext_noop("HTTP status {status}"))
PRICES_TOO_LARGE = reason("blocks.prices_too_large", gettext_noop("the file is larger than {limit} bytes"))
PRICES_UNREADABLE = reason(
    "blocks.prices_unreadable", gettext_noop("neither lines of day,price nor JSON with prices by day")
)

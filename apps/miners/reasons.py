"""Why miners were not created, and why hosts have their roles or lost them."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from apps.core.reasons import reason

CREATION_REFUSED = reason(
    "miners.creation_refused", gettext_noop("CreateMiner ended with exit code {exit_code}")
)
CREATION_ENDED = reason("miners.creation_ended", gettext_noop("CreateMiner was {state}"))

# Roles
ASSIGNED = reason("miners.assigned", gettext_noop("assigned"))
REMOVED = reason("miners.removed", gettext_noop("removed"))
REMOVED_FROM = reason("miners.removed_from", gettext_noop("removed from {host}"))
NO_HOLDER = reason("miners.no_holder", gettext_noop("it had no holder"))
LEASE_EXPIRED = reason("miners.lease_expired", gettext_noop("the lease of {host} expired"))
TAKEN_OVER = reason("miners.taken_over", gettext_noop("its lease expired: {host} took over"))
FAILED_OVER = reason("miners.failed_over", gettext_noop("failed over"))
FAILED_OVER_TO = reason("miners.failed_over_to", gettext_noop("failed over to {host}"))
FAILED_OVER_FROM = reason("miners.failed_over_from", gettext_noop("failed over from {host}"))
COMBINED_ON = reason("miners.combined_on", gettext_noop("combined on {host}"))
SEPARATED = reason("miners.separated", gettext_noop("separated"))
RESTORED = reason(
    "miners.restored", gettext_noop("the database was restored: another host may have held it since")
)

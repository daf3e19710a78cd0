"""The states of a miner's row and how they follow each other."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _


class MinerState(models.TextChoices):
    """Whether the actor exists."""

    CREATING = "CREATING", _("Creating")
    """Its CreateMiner message is on the way."""
    ACTIVE = "ACTIVE", _("Active")
    FAILED = "FAILED", _("Failed")
    """The message was refused; nothing was made."""


TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    MinerState.CREATING: {"LAND": MinerState.ACTIVE, "FAIL": MinerState.FAILED},
    MinerState.ACTIVE: {"REVERT": MinerState.CREATING},
    MinerState.FAILED: {"RETRY": MinerState.CREATING},
}
"""From a state and an event to the next state."""


class ProvenBy(models.TextChoices):
    """Who works for a miner when it is imported."""

    POOL = "pool", _("The pool, from now on")
    OTHER = "other", _("Another program, until a height is set")


class Decision(models.TextChoices):
    """What a signer of a multisig does about a proposal."""

    APPROVE = "approve", _("Approve")
    CANCEL = "cancel", _("Cancel proposal")
    """Only by the signer who proposed."""


class Use(models.TextChoices):
    """What an address sends messages for.

    Source: lotus node/config/types.go MinerAddressConfig, which has no word of its own for extensions.
    """

    PRE_COMMIT = "precommit", _("Pre-commit")
    COMMIT = "commit", _("Commit")
    POST = "post", _("Proofs")
    TERMINATE = "terminate", _("Terminations")
    EXTEND = "extend", _("Extensions")


class AddressChange(models.TextChoices):
    """What can be changed about a miner's addresses, step by step."""

    CONTROL = "control", _("Control addresses")
    WORKER = "worker", _("Worker")
    WORKER_CONFIRM = "worker-confirm", _("Confirm worker")
    OWNER = "owner", _("Owner")
    OWNER_CONFIRM = "owner-confirm", _("Confirm owner")
    BENEFICIARY = "beneficiary", _("Beneficiary")
    BENEFICIARY_CONFIRM = "beneficiary-confirm", _("Approve beneficiary")
    MULTIADDRS = "multiaddrs", _("Multiaddresses for deals")
    PEER_ID = "peer-id", _("Peer id")


class RoleKind(models.TextChoices):
    """What a host does for a miner.  Source: filguard's distributed lotus-miner, `run --window-post …`."""

    SEAL = "seal", _("Seal")
    DEAL = "deal", _("Deal")
    WINDOW = "window", "WindowPoSt"
    WINNING = "winning", "WinningPoSt"
    ALLOCATOR = "allocator", _("Sector numbers")
    BACKUP = "backup", _("Backup prover")


EXCLUSIVE_ROLES: Final = (RoleKind.DEAL, RoleKind.WINDOW, RoleKind.WINNING, RoleKind.ALLOCATOR)
"""One host of a miner holds each of these at a time, under a lease; sealing and backup proving are shared."""
ROLE_LEASE_S: Final = 30
"""A holder that was not heard of for so long loses an exclusive role to a host on standby."""


class RoleState(models.TextChoices):
    """Where a host's role is."""

    STANDBY = "STANDBY", _("Standby")
    """It takes over once the holder's lease runs out, or when a person fails it over."""
    HELD = "HELD", _("Held")
    PARKED = "PARKED", _("Parked")
    """Set aside while all roles of the miner are combined on one host."""
    REMOVED = "REMOVED", _("Removed")
    """The row stays: the tokens of later leases are counted on from its own."""


ROLE_TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    RoleState.STANDBY: {
        "TAKE": RoleState.HELD,
        "PARK": RoleState.PARKED,
        "REMOVE": RoleState.REMOVED,
    },
    RoleState.HELD: {
        "LOSE": RoleState.STANDBY,
        "PARK": RoleState.PARKED,
        "REMOVE": RoleState.REMOVED,
    },
    RoleState.PARKED: {"GIVE": RoleState.STANDBY, "REMOVE": RoleState.REMOVED},
    RoleState.REMOVED: {"GIVE": RoleState.STANDBY},
}
"""From a state and an event to the next state."""

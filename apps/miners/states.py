"""The states of a miner's row and how they follow each other."""

from __future__ import annotations

from typing import Final

from django.db import models


class MinerState(models.TextChoices):
    """Whether the actor exists."""

    CREATING = "CREATING", "Creating"
    """Its CreateMiner message is on the way."""
    ACTIVE = "ACTIVE", "Active"
    FAILED = "FAILED", "Failed"
    """The message was refused; nothing was made."""


TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    MinerState.CREATING: {"LAND": MinerState.ACTIVE, "FAIL": MinerState.FAILED},
    MinerState.ACTIVE: {"REVERT": MinerState.CREATING},
    MinerState.FAILED: {"RETRY": MinerState.CREATING},
}
"""From a state and an event to the next state."""


class Use(models.TextChoices):
    """What an address sends messages for.  Source: lotus AddressConfig."""

    PRE_COMMIT = "precommit", "Pre-commit"
    COMMIT = "commit", "Commit"
    POST = "post", "Proofs"

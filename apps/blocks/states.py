"""What became of a miner's round: the closed list of outcomes, and how they follow each other."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _


class RoundState(models.TextChoices):
    """The outcome of one miner's round at one epoch."""

    NOT_ELIGIBLE = "NOT_ELIGIBLE", _("Not eligible")
    NO_WIN = "NO_WIN", _("No win")
    WON = "WON", _("Won")
    """Drawn; ticket, proof, block and signature are being made."""
    SUBMITTED = "SUBMITTED", _("Submitted")
    """A node took the block."""
    INCLUDED = "INCLUDED", _("Included")
    ORPHANED = "ORPHANED", _("Orphaned")
    """The chain went on without the block."""
    LATE = "LATE", _("Late")
    """The epoch's time was over before the block was signed."""
    PROOF_TIMEOUT = "PROOF_TIMEOUT", _("No proof in time")
    PROOF_REFUSED = "PROOF_REFUSED", _("Proof refused")
    SIGNER_AWAY = "SIGNER_AWAY", _("Signer offline")
    SIGNER_REFUSED = "SIGNER_REFUSED", _("Signer refused")
    BASE_CHANGED = "BASE_CHANGED", _("Base changed")
    """The chain left the tipset that the round was drawn on, and the miner has no election on the new one."""
    NODE_AWAY = "NODE_AWAY", _("Node unavailable")
    NODE_REFUSED = "NODE_REFUSED", _("Node refused")
    SLASH_GUARD = "SLASH_GUARD", _("Slash guard")
    """The block would have been a consensus fault."""
    INTERRUPTED = "INTERRUPTED", _("Interrupted")
    """The service ended on the way and came back too late."""


LOSSES: Final = (
    RoundState.LATE,
    RoundState.PROOF_TIMEOUT,
    RoundState.PROOF_REFUSED,
    RoundState.SIGNER_AWAY,
    RoundState.SIGNER_REFUSED,
    RoundState.BASE_CHANGED,
    RoundState.NODE_AWAY,
    RoundState.NODE_REFUSED,
    RoundState.SLASH_GUARD,
    RoundState.INTERRUPTED,
)
"""Outcomes of a round without a block on the chain, though it was won or could not be drawn."""

TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    RoundState.NOT_ELIGIBLE: {},
    RoundState.NO_WIN: {},
    RoundState.WON: {"SUBMIT": RoundState.SUBMITTED, **{loss.value: loss for loss in LOSSES}},
    RoundState.SUBMITTED: {"INCLUDE": RoundState.INCLUDED, "ORPHAN": RoundState.ORPHANED},
    RoundState.INCLUDED: {"ORPHAN": RoundState.ORPHANED},
    RoundState.ORPHANED: {"INCLUDE": RoundState.INCLUDED},
    **{loss.value: {"INCLUDE": RoundState.INCLUDED.value} for loss in LOSSES},
}
"""From a state and an event to the next; most rounds are written in one that is final.

After each loss a signed block may be on the chain all the same: a node took it and did not say so, or a
service before or beside the one that noted the loss had submitted it.
"""


class NotDrawn(models.TextChoices):
    """Why no round of a miner is drawn now, or why its draw can be no win."""

    NOT_ACTIVE = "not_active", _("it is not on chain yet, or not active")
    ELSEWHERE = "elsewhere", _("another program makes its blocks at this height")
    MINING_OFF = "mining_off", _("block production is turned off for it")
    NO_POWER = "no_power", _("it has no power: its first sector is not proven yet")
    POWER_TOO_NEW = "power_too_new", _("its power is too new: it can win once the lookback has passed")
    BELOW_MINIMUM = "below_minimum", _("its power is below the network's minimum for mining")
    BARRED = "barred", _("it is in debt, or barred by a consensus fault")
    NOT_BEGUN = "not_begun", _("no recent round: check that the blocks process runs and a node is in sync")


class WhyNot(models.TextChoices):
    """Why a miner may not mine at an epoch."""

    NO_POWER = "no_power", _("no power at the lookback, or no sector before finality")
    BARRED = "barred", _("no power now, in debt, or barred by a consensus fault")


class ChargeKind(models.TextChoices):
    """What a tenant is charged for."""

    REWARDS = "REWARDS", _("Share of rewards")
    POWER = "POWER", _("QA power")
    MONTHLY = "MONTHLY", _("Monthly sum")
    CORRECTION = "CORRECTION", _("Correction")

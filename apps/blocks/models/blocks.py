"""Rounds of the election, the blocks that were made, and each day's sums of the rounds that are not kept."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar, Final

from django.db import models

from apps.blocks.states import TRANSITIONS, RoundState, WhyNot
from apps.core.fields import AttoFilField, CidField
from apps.core.models import Named
from apps.core.reason_fields import CodedField, ReasonCharField, WithReasons
from apps.miners.models import Miner
from poolsite.filecoin.pledge import locked_reward, vesting_schedule

INSTANCE_KNOWN: Final = timedelta(minutes=2)
"""How long the instance of F3 counts that a node said: the leases are looked at every 15 s."""


class Round(WithReasons, Named):
    """What one miner did at one epoch."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = TRANSITIONS

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="rounds")
    epoch = models.BigIntegerField()
    base_height = models.BigIntegerField()
    """Epoch of the tipset that it was drawn on."""
    state = models.CharField(max_length=16, choices=RoundState.choices)
    why_not = models.CharField(max_length=16, choices=WhyNot.choices, blank=True)
    """Empty while the miner may mine, or nobody knows."""
    expected = models.FloatField(default=0.0)
    """Expected wins: five times the miner's share of the network's power."""
    win_count = models.SmallIntegerField(default=0)
    sector = models.BigIntegerField(null=True)
    """The sector to prove, of a round that was won."""
    reason = ReasonCharField(max_length=300, blank=True)
    """The words of the node, signer or prover that a win was lost by."""
    reason_coded = CodedField()
    steps = models.JSONField(default=list)
    """What was done: `[name, start, length]`, in milliseconds since the base tipset's epoch began."""
    budget_ms = models.IntegerField(default=0)
    """When a block had to be signed, in milliseconds since the same moment."""
    at = models.DateTimeField()

    class Meta:
        ordering = ["-epoch"]
        constraints = [models.UniqueConstraint(fields=["miner", "epoch"], name="one_round_per_epoch")]
        indexes = [
            models.Index(fields=["miner", "-epoch"], name="rounds_won", condition=models.Q(win_count__gt=0)),
            models.Index(
                fields=["epoch"],
                name="rounds_open",
                condition=models.Q(state__in=["WON", "SUBMITTED", "INCLUDED", "ORPHANED"]),
            ),
            models.Index(fields=["at"], name="rounds_plain", condition=models.Q(win_count=0)),
            models.Index(fields=["at"], name="rounds_won_at", condition=models.Q(win_count__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.miner} at epoch {self.epoch}"

    @property
    def is_eligible(self) -> bool:
        """Return whether the miner was allowed to mine."""
        return not self.why_not


class Block(models.Model):
    """A header that may be signed, and no other of its miner at its height or on its parents.

    The row is written before the signature is asked for: of two services that make blocks beside each other
    one writes it, and the other signs the same header.  It survives the miner's row.
    """

    genesis = models.CharField(max_length=200, blank=True, default="")
    """CID of the chain's first block: on another chain the same miner and height are no fault."""
    actor_id = models.BigIntegerField()
    height = models.BigIntegerField()
    parents = models.BinaryField()
    """SHA-256 of the parents' CIDs, sorted."""
    unsigned = models.BinaryField()
    """BlockMsg in CBOR, without the signature."""
    cid = CidField(blank=True, default="")
    """Of the signed block; empty before."""
    signed = models.BinaryField(null=True)
    """BlockMsg in CBOR as it was submitted."""
    messages = models.IntegerField(default=0)
    round = models.OneToOneField(Round, null=True, on_delete=models.SET_NULL, related_name="block")
    submitted_at = models.DateTimeField(null=True)
    reward = AttoFilField(null=True)
    """With the tips of its messages; None until it is on the chain."""
    penalty = AttoFilField(null=True)
    """As the chain charges it: three times what the block's messages caused."""
    vesting_offset = models.BigIntegerField(null=True)
    """The miner's proving period start when it was paid, from which the grid of vesting is counted."""
    reward_key = models.TextField(blank=True, default="", db_default="")
    """Of the tipset whose execution paid it; empty where that was not noted."""

    class Meta:
        ordering = ["-height"]
        constraints = [
            models.UniqueConstraint(fields=["genesis", "actor_id", "height"], name="one_block_per_height"),
            models.UniqueConstraint(fields=["genesis", "actor_id", "parents"], name="one_block_per_parents"),
        ]

    def __str__(self) -> str:
        return f"block of f0{self.actor_id} at {self.height}"

    @property
    def vesting(self) -> list[tuple[int, int]]:
        """Return when and how much of the reward vests: (epoch, attoFIL) in order; empty until booked."""
        if self.reward is None or self.vesting_offset is None:
            return []
        parts = vesting_schedule(
            locked_reward(int(self.reward)), epoch=self.height, offset=self.vesting_offset
        )
        return [(at, int(part)) for at, part in parts]


class MiningDay(models.Model):
    """The rounds of a day that were not won and are not kept, in sums."""

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="mining_days")
    day = models.DateField()
    rounds = models.IntegerField(default=0)
    eligible = models.IntegerField(default=0)
    missed = models.IntegerField(default=0)
    """Those that could not be drawn: signer or node away."""
    expected = models.FloatField(default=0.0)
    """Sum of the expected wins."""

    class Meta:
        ordering = ["-day"]
        constraints = [models.UniqueConstraint(fields=["miner", "day"], name="one_row_per_mining_day")]

    def __str__(self) -> str:
        return f"{self.miner} on {self.day}"


class F3Lease(WithReasons):
    """By which one node votes for a miner in fast finality (F3), and why it could not be renewed."""

    miner = models.OneToOneField(Miner, on_delete=models.CASCADE, related_name="f3_lease")
    node = models.CharField(max_length=300, blank=True)
    """URL of the node that gave it; empty while none has."""
    network = models.CharField(max_length=200, blank=True)
    issuer = models.CharField(max_length=200, blank=True)
    """The node's peer ID, as it writes it into its tickets."""
    ticket = models.TextField(blank=True)
    """In base64, as the node takes it back; by it the next lease goes on where this one ends."""
    from_instance = models.BigIntegerField(default=0)
    ends = models.BigIntegerField(default=-1)
    """The last instance of it."""
    reserved_until = models.BigIntegerField(default=-1)
    """The last instance of the ticket: the node may vote by it though no answer came, so no other may."""
    instance = models.BigIntegerField(default=0)
    """That the node worked on when it was asked last."""
    looked_at = models.DateTimeField(null=True)
    """When a node said so."""
    renewed_at = models.DateTimeField(null=True)
    reason = ReasonCharField(max_length=300, blank=True)
    """Why it could not be renewed when that was tried last; empty while it could."""
    reason_coded = CodedField()
    failing_since = models.DateTimeField(null=True)
    restored_at = models.DateTimeField(null=True)
    """When the database was restored before which the row knew nothing of tickets that were given since."""
    restored_until = models.BigIntegerField(null=True)
    """The last instance of any such ticket; None: no node in sync said yet which instance runs."""

    def __str__(self) -> str:
        return f"{self.miner} in F3 until {self.ends}"

    @property
    def is_in_doubt(self) -> bool:
        """Return whether a node may vote by a ticket that a restored database does not know."""
        is_over = self.restored_until is not None and self.restored_until < self.instance
        return self.restored_at is not None and not is_over

    def runs_at(self, now: datetime) -> bool:
        """Return whether the node votes for the miner, by the instance that a node worked on lately."""
        is_within = self.renewed_at is not None and self.from_instance <= self.instance <= self.ends
        return is_within and self.is_known_at(now)

    def is_known_at(self, now: datetime) -> bool:
        """Return whether a node said lately which instance runs."""
        return self.looked_at is not None and now - self.looked_at < INSTANCE_KNOWN

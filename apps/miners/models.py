"""Miner actors of the pool, with what the chain last said about them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from apps.core.fields import AddressField, AttoFilField, CidField
from apps.core.models import Named, Timestamped
from apps.miners.states import (
    EXCLUSIVE_ROLES,
    ROLE_TRANSITIONS,
    TRANSITIONS,
    MinerState,
    RoleKind,
    RoleState,
    Use,
)
from apps.users.models import Tenant
from poolsite.filecoin.pledge import DISPUTE_REWARD, dispute_penalty, fault_fee, pre_commit_deposit
from poolsite.filecoin.power import Estimate, quality_power_max


class Miner(Named, Timestamped):
    """A storage provider's actor."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = TRANSITIONS

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="miners")
    name = models.CharField(max_length=64, blank=True)
    """What its people call it."""
    state = models.CharField(max_length=16, choices=MinerState.choices, default=MinerState.CREATING)
    actor_id = models.BigIntegerField(null=True, unique=True)
    """None until CreateMiner has landed."""
    robust = AddressField(blank=True, default="")
    create_message_id = models.CharField(max_length=200, null=True, unique=True)  # noqa: DJ001  # unique needs NULL
    """Our id of the CreateMiner message; None for a miner that was there before."""
    created_height = models.BigIntegerField(null=True)
    error = models.TextField(blank=True)

    owner = AddressField()
    worker = AddressField()
    """As the chain resolves it: the key, not the ID."""
    owner_id = models.BigIntegerField(null=True)
    worker_id = models.BigIntegerField(null=True)
    control = models.JSONField(default=list)
    """Key addresses that may send messages for the miner too."""
    control_ids = models.JSONField(default=list)
    """The same as the chain has them, by which a change shows."""
    beneficiary = AddressField(blank=True, default="")
    new_worker = models.CharField(max_length=128, blank=True, default="")
    """The worker that was asked for and is not confirmed yet, as f0; empty if there is none."""
    new_worker_epoch = models.BigIntegerField(null=True)
    """From when on it can be confirmed."""
    peer_id = models.CharField(max_length=128, blank=True)

    seal_proof = models.SmallIntegerField()
    """RegisteredSealProof of new sectors."""
    post_proof = models.SmallIntegerField()
    """RegisteredPoStProof of its deadlines."""
    sector_size = models.BigIntegerField()
    partition_sectors = models.IntegerField(default=0)
    """Most sectors in one partition."""

    raw_power = models.BigIntegerField(default=0)
    qa_power = models.BigIntegerField(default=0)
    has_min_power = models.BooleanField(default=False)
    balance = AttoFilField(default=0)
    available = AttoFilField(default=0)
    """May be negative: a miner in debt."""
    locked = AttoFilField(default=0)
    """Vesting rewards and the creation deposit."""
    pledge = AttoFilField(default=0)
    deposits = AttoFilField(default=0)
    fee_debt = AttoFilField(default=0)
    live_sectors = models.BigIntegerField(default=0)
    active_sectors = models.BigIntegerField(default=0)
    faulty_sectors = models.BigIntegerField(default=0)
    unlisted_sectors = models.BigIntegerField(default=0)
    """Live ones that the pool had no row for when it last compared all of them, once a proving period."""

    proving_period_start = models.BigIntegerField(null=True)
    current_deadline = models.IntegerField(default=0)
    refreshed_height = models.BigIntegerField(default=-1)
    """The head at which the chain said all this."""

    works_from = models.BigIntegerField(null=True)
    """The pool proves its windows that open at this height or later, and makes its blocks from there on."""
    works_until = models.BigIntegerField(null=True)
    """From this height on another program does both; 0: it has it, and nobody has set yet until when."""

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.address or self.name or f"miner {self.pk}"

    def works_at(self, height: int) -> bool:
        """Return whether the pool proves a window that opens at this height, and makes a block of it."""
        is_begun = self.works_from is None or height >= self.works_from
        return is_begun and (self.works_until is None or height < self.works_until)

    @property
    def is_held(self) -> bool:
        """Whether another program has it, and nobody has said yet from which height on the pool does."""
        return self.works_until == 0

    @property
    def address(self) -> str:
        """The ID address, empty while there is none."""
        return "" if self.actor_id is None else f"f0{self.actor_id}"


class ChainRoots(models.Model):
    """What names a miner's state on the chain: while a root stays, so does everything below it."""

    miner = models.OneToOneField(Miner, on_delete=models.CASCADE, related_name="+")
    state = CidField(blank=True, default="")
    """Of the actor."""
    deadlines = CidField(blank=True, default="")
    """Of all deadlines with their partitions; the actor's own where the node does not tell it."""
    each = models.JSONField(default=list)
    """CIDs of the deadlines by index; empty where the node does not tell them."""
    read_height = models.BigIntegerField(default=-1)
    """The head at which everything about the miner was last read."""

    def __str__(self) -> str:
        return f"roots of {self.miner}"

    def of_deadline(self, index: int) -> str:
        """Return what names the state of one deadline."""
        return str(self.each[index]) if index < len(self.each) else self.deadlines


class MinerAddress(models.Model):
    """Which address a miner's people want used for what; without a row the worker is used."""

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="uses")
    use = models.CharField(max_length=16, choices=Use.choices)
    address = AddressField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["miner", "use", "address"], name="one_row_per_miner_use_and_address"
            )
        ]
        ordering: ClassVar[list[str]] = ["pk"]  # they are tried in the order in which they were named

    def __str__(self) -> str:
        return f"{self.miner} {self.use}: {self.address}"


class Role(Named, Timestamped):
    """What one host may do for a miner; all hosts work for a miner without such rows."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = ROLE_TRANSITIONS

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="roles")
    host = models.CharField(max_length=100)
    """The machine, as its workers name it; several workers on it share the role."""
    kind = models.CharField(max_length=16, choices=RoleKind.choices)
    state = models.CharField(max_length=16, choices=RoleState.choices, default=RoleState.STANDBY)
    priority = models.IntegerField(default=0)
    """Of several hosts on standby the one with the highest takes over."""
    token = models.BigIntegerField(default=0)
    """Of its newest lease; every lease of the miner and kind has a higher one than those before."""
    lease_until = models.DateTimeField(null=True)
    """None: not held, or shared."""
    since = models.DateTimeField()
    """When it came into its state."""
    heard_at = models.DateTimeField(null=True)
    """When a program of the host that can do it was last heard of."""
    note = models.CharField(max_length=200, blank=True)
    """Why it is in its state, in words."""
    group = models.CharField(max_length=100, blank=True)
    """The label by which the host has it; empty: it was given to the host itself."""
    before_combine = models.CharField(max_length=16, blank=True)
    """The state to which it goes back when combined roles are separated; empty: they are not combined."""
    test_pledge = models.UUIDField(null=True)
    """The pledge by which the role was tried last."""
    test_highest = models.BigIntegerField(default=-1)
    """The highest sector number of the miner before that; -1: there was none."""

    class Meta:
        ordering = ["host", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["miner", "host", "kind"], name="one_role_per_host_and_kind"),
            models.UniqueConstraint(
                fields=["miner", "kind"],
                name="one_holder_of_an_exclusive_role",
                condition=models.Q(state=RoleState.HELD, kind__in=EXCLUSIVE_ROLES),
            ),
        ]
        indexes = [models.Index(fields=["host"], name="roles_of_a_host")]

    def __str__(self) -> str:
        return f"{self.miner} {self.kind}: {self.host}"

    @property
    def is_exclusive(self) -> bool:
        """Whether one host alone may hold it."""
        return self.kind in EXCLUSIVE_ROLES


class RoleGroup(models.Model):
    """A role of all hosts in a group, those that join it later too; each has a `Role` that names it."""

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="role_groups")
    group = models.CharField(max_length=100)
    """As workers have it: `Worker.group`."""
    kind = models.CharField(max_length=16, choices=RoleKind.choices)
    priority = models.IntegerField(default=0)
    """Of its hosts, on standby."""

    class Meta:
        ordering = ["group", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["miner", "group", "kind"], name="one_role_per_group_and_kind")
        ]

    def __str__(self) -> str:
        return f"{self.miner} {self.kind}: group {self.group}"


class MinerTransfer(Named):
    """A miner went from one tenant to another; the row repeats the answer to whoever asks again."""

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="transfers")
    from_tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    to_tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    key = models.CharField(max_length=100, null=True)  # noqa: DJ001  # unique needs NULL
    """The caller's idempotency key."""
    actor = models.CharField(max_length=200)
    at = models.DateTimeField()
    sectors = models.BigIntegerField(default=0)
    """How many went with it."""
    messages = models.BigIntegerField(default=0)
    """How many to it were on their way; they stay the old tenant's."""
    tokens_kept = models.JSONField(default=list)
    """Names of the old tenant's tokens that lost it and are for other miners still."""
    tokens_revoked = models.JSONField(default=list)
    """Names of the old tenant's tokens that were for it alone."""

    class Meta:
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["miner", "key"], name="one_transfer_per_key")]

    def __str__(self) -> str:
        return f"{self.miner} from {self.from_tenant.name} to {self.to_tenant.name}"


class RewardEstimate(models.Model):
    """The chain's smoothed estimates of reward and power, by which it computes fees; a single row.

    Source: go-state-types builtin/v18 reward (ThisEpochRewardSmoothed), power (ThisEpochQAPowerSmoothed).
    """

    reward_position = models.DecimalField(max_digits=100, decimal_places=0)
    reward_velocity = models.DecimalField(max_digits=100, decimal_places=0)
    power_position = models.DecimalField(max_digits=100, decimal_places=0)
    power_velocity = models.DecimalField(max_digits=100, decimal_places=0)
    height = models.BigIntegerField()
    """The head at which the chain said so."""

    def __str__(self) -> str:
        return f"reward and power at {self.height}"

    @property
    def reward(self) -> Estimate:
        """The reward per epoch."""
        return Estimate(int(self.reward_position), int(self.reward_velocity))

    @property
    def power(self) -> Estimate:
        """The network's quality-adjusted power."""
        return Estimate(int(self.power_position), int(self.power_velocity))

    def fault_fee(self, quality_power: int) -> int:
        """Return what faulty power pays at each end of a proving period, in attoFIL."""
        return int(fault_fee(self.reward, self.power, quality_power))

    def dispute_penalty(self, quality_power: int) -> int:
        """Return what a proof of so many quality-adjusted bytes costs that loses a dispute, in attoFIL."""
        return int(dispute_penalty(self.reward, self.power, quality_power)) + DISPUTE_REWARD

    def deposit(self, sector_size: int) -> int:
        """Return what a pre-commit of a sector deposits now, in attoFIL."""
        return int(pre_commit_deposit(self.reward, self.power, quality_power_max(sector_size)))

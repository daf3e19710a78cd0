"""Sectors, from the request for them to their end."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from apps.core.fields import AttoFilField, CidField
from apps.core.models import Named, Timestamped
from apps.core.reason_fields import CodedField, ReasonTextField, WithReasons
from apps.miners.models import Miner
from apps.sectors.models.batches import Batch
from apps.users.models import Tenant
from poolsite.filecoin.sector import RegisteredSealProof
from poolsite.wire.pipeline import NEXT_STAGE, SECTOR_STATES, TRANSITIONS, SectorState, StageSpec

STATE_CHOICES = [(state, state) for state in SECTOR_STATES]


class Pledge(Named, Timestamped):
    """One request for new sectors."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    miner = models.ForeignKey(Miner, on_delete=models.PROTECT, related_name="pledges")
    count = models.IntegerField()
    key = models.CharField(max_length=200, null=True)  # noqa: DJ001  # unique needs NULL
    """The caller's idempotency key."""
    actor = models.CharField(max_length=200)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "key"], name="one_pledge_per_key")]

    def __str__(self) -> str:
        return f"{self.count} sectors for {self.miner}"


class Sector(WithReasons, Named, Timestamped):
    """A sector of a miner, from its number to its end."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = TRANSITIONS

    miner = models.ForeignKey(Miner, on_delete=models.PROTECT, related_name="sectors")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    """The miner's: it stands here too so that a tenant's pages read an index of the tenant's own rows."""
    number = models.BigIntegerField()
    pledge = models.ForeignKey(Pledge, null=True, on_delete=models.PROTECT, related_name="sectors")
    without_pledge = models.BooleanField(default=False, db_default=False)
    """Adopted from the chain, or begun for pieces: no pledge of it can be lost."""
    state = models.CharField(max_length=24, choices=STATE_CHOICES, default=SectorState.ALLOCATED)
    stage_since = models.DateTimeField()
    """When the sector came into its state."""
    seal_proof = models.SmallIntegerField()
    sector_size = models.BigIntegerField()

    progress_done = models.BigIntegerField(default=0)
    progress_total = models.BigIntegerField(default=0)
    """0: nothing is known about the stage."""
    progress_unit = models.CharField(max_length=100, blank=True)

    pieces = models.JSONField(default=list)
    comm_d = models.BinaryField(null=True)
    comm_r = models.BinaryField(null=True)
    key_comm_r = models.BinaryField(null=True)
    """Of the replica of zeros that data were encoded into; None: it was sealed with what it holds."""
    ticket = models.BinaryField(null=True)
    ticket_epoch = models.BigIntegerField(null=True)
    seed = models.BinaryField(null=True)
    seed_epoch = models.BigIntegerField(null=True)
    store = models.CharField(max_length=110, blank=True)
    """Name of the store that holds the files."""
    files_lost_at = models.DateTimeField(null=True)
    """When its store was forgotten as lost; of no more meaning once a store has its files again."""
    lost_uid = models.CharField(max_length=100, blank=True)
    """Identity of that store until a host reads it again, also once another has the files."""

    precommit_batch = models.ForeignKey(
        Batch, null=True, on_delete=models.SET_NULL, related_name="precommits"
    )
    commit_batch = models.ForeignKey(Batch, null=True, on_delete=models.SET_NULL, related_name="commits")
    precommit_epoch = models.BigIntegerField(null=True)
    activation = models.BigIntegerField(null=True)
    expiration = models.BigIntegerField(null=True)
    deadline = models.IntegerField(null=True)
    partition = models.IntegerField(null=True)
    initial_pledge = AttoFilField(default=0)

    active = models.BooleanField(default=False)
    """Listed by StateMinerActiveSectors: live, proven, not faulty."""
    active_since = models.DateTimeField(null=True)
    ready_height = models.BigIntegerField(null=True)
    """The head at which it began to wait for a batch."""

    removal_asked_at = models.DateTimeField(null=True)
    """When its hosts were told to remove its files, after the chain had ended it."""
    paused_at = models.DateTimeField(null=True)
    """Set while somebody has to decide; the state stays what it was."""
    paused_by = models.CharField(max_length=200, blank=True, default="", db_default="")
    """Who paused it; empty: it failed, or is not paused."""
    bad_store = models.CharField(max_length=110, blank=True, default="", db_default="")
    """The store in which a prover found its files bad: it is paused until they lie there again."""
    error = ReasonTextField(blank=True)
    error_coded = CodedField()
    error_level = models.CharField(max_length=16, blank=True)
    attempts = models.IntegerField(default=0)
    """Failures of the present stage."""
    not_before = models.DateTimeField(null=True)
    """The console tries the present step again from then on."""

    class Meta:
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["miner", "number"], name="one_sector_per_number")]
        indexes = [
            models.Index(
                fields=["state"],
                name="sectors_underway",
                condition=~models.Q(state__in=["PROVING", "ABORTED", "TERMINATED"]),
            ),
            models.Index(fields=["miner", "-id"], name="sectors_of_a_miner"),
            models.Index(fields=["state", "active", "-id"], name="sectors_page"),
            models.Index(fields=["tenant", "-id"], name="sectors_of_a_tenant"),
            models.Index(
                fields=["tenant", "-id"],
                name="sectors_tenant_underway",
                condition=~models.Q(state__in=["PROVING", "ABORTED", "TERMINATED"]),
            ),
            models.Index(fields=["tenant", "state", "active", "-id"], name="sectors_tenant_page"),
            models.Index(fields=["store", "tenant", "state"], name="sectors_of_a_store"),
            models.Index(
                fields=["tenant", "lost_uid"], name="sectors_lost", condition=~models.Q(lost_uid="")
            ),
            models.Index(
                fields=["miner", "precommit_epoch"],
                name="sectors_aborted",
                condition=models.Q(state="ABORTED"),
            ),
            models.Index(fields=["expiration"], name="sectors_expiring", condition=models.Q(state="PROVING")),
            models.Index(
                fields=["tenant", "expiration"],
                name="sectors_tenant_expiring",
                condition=models.Q(state="PROVING"),
            ),
            models.Index(fields=["paused_at"], name="sectors_paused", condition=~models.Q(paused_at=None)),
            models.Index(
                fields=["miner", "expiration"],
                name="sectors_without_power",
                condition=models.Q(state="PROVING", active=False),
            ),
            models.Index(
                fields=["miner", "comm_d", "-expiration"],
                name="sectors_to_update",
                condition=models.Q(state="PROVING", active=True, key_comm_r=None),
            ),
            models.Index(
                fields=["tenant"],
                name="sectors_files_left",
                condition=models.Q(state="TERMINATED", removal_asked_at=None),
            ),
            models.Index(
                fields=["miner"],
                name="sectors_without_deadline",
                condition=models.Q(deadline=None, state__in=["COMMIT_LANDED", "PROVING"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.miner} {self.number}"

    @property
    def is_interactive(self) -> bool:
        """Return whether its proof waits for a pre-commit and a seed."""
        return RegisteredSealProof(self.seal_proof).is_interactive

    @property
    def was_precommitted(self) -> bool:
        """Return whether a pre-commit of it was ever sent, or seen on the chain: it may yet land."""
        return self.precommit_epoch is not None or self.precommit_batch_id is not None

    @property
    def is_without_files(self) -> bool:
        """Return whether its files were lost with their store, and none were made or found since."""
        return self.files_lost_at is not None and not self.store

    @property
    def step(self) -> StageSpec:
        """Return what follows its state."""
        return NEXT_STAGE[self.state]

    @property
    def stage(self) -> str:
        """Return what is done next, upper case."""
        return str(self.step.stage)

    @property
    def progress(self) -> float | None:
        """Return how far the stage is, 0 to 1; None when nobody knows."""
        return self.progress_done / self.progress_total if self.progress_total else None


class ActiveSectors(models.Model):
    """Which sectors of a miner the chain had as active when its state was last read."""

    miner = models.OneToOneField(Miner, on_delete=models.CASCADE, related_name="+")
    root = CidField(blank=True, default="")
    """Of the miner's deadlines; while it stays, so does all below."""
    each = models.JSONField(default=list)
    """What named the state of each deadline."""
    numbers = models.JSONField(default=list)
    """Sector numbers of each deadline as run lengths, the first of them without."""
    compared_height = models.BigIntegerField(null=True)
    """The head at which every row of the miner was last compared with them."""
    next_number = models.BigIntegerField(null=True)
    """The least number whose row is still to be compared with what the chain says of its sector; None: all
    were."""

    def __str__(self) -> str:
        return f"active sectors of {self.miner}"


class SectorProof(models.Model):
    """The proof of replication that a host made; apart from the sector, so that lists do not carry it."""

    sector = models.OneToOneField(Sector, on_delete=models.CASCADE, related_name="final_proof")
    proof = models.BinaryField()
    seed_epoch = models.BigIntegerField()

    def __str__(self) -> str:
        return f"proof of {self.sector}"

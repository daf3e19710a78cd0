"""Sectors, their jobs, and the batches in which they go to the chain."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.indexes import GinIndex
from django.db import models

from apps.core.fields import AttoFilField, CidField
from apps.core.models import Named, Timestamped
from apps.miners.models import Miner
from apps.sectors import (  # noqa: F401  # for their tables
    adoption_models,
    damocles_models,
    expiration_models,
    number_models,
    run_models,
    store_check_models,
    store_models,
    store_scan_models,
    target_models,
)
from apps.sectors.host_models import Worker
from apps.sectors.states import BATCH_TRANSITIONS, JOB_TRANSITIONS, BatchKind, BatchState, JobState
from apps.users.models import Tenant
from poolsite.filecoin.sector import RegisteredSealProof
from poolsite.wire.pipeline import NEXT_STAGE, TRANSITIONS, SectorState, StageSpec
from poolsite.wire.pipeline.changes import (
    CHANGE_NEXT,
    CHANGE_TRANSITIONS,
    OPEN_CHANGES,
    ChangeKind,
    ChangeState,
)

SECTOR_STATES = [(str(state), str(state)) for state in SectorState]
CHANGE_KINDS = [(str(kind), str(kind)) for kind in ChangeKind]
CHANGE_STATES = [(str(state), str(state)) for state in ChangeState]


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


class Batch(Named, Timestamped):
    """Sectors that go to the chain in one message, whose id is derived from this row's."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = BATCH_TRANSITIONS

    miner = models.ForeignKey(Miner, on_delete=models.PROTECT, related_name="batches")
    kind = models.CharField(max_length=16, choices=BatchKind.choices)
    state = models.CharField(max_length=16, choices=BatchState.choices, default=BatchState.CLOSED)
    message_id = models.CharField(max_length=200, unique=True)
    closed_height = models.BigIntegerField()
    reason = models.CharField(max_length=100, blank=True)
    """Why it was closed: `full`, `timeout`, `single` or `deadline`."""
    sender = models.CharField(max_length=128)
    method = models.IntegerField()
    params = models.BinaryField()
    """Kept as they were made, so that pushing again after a crash pushes the same message."""
    value = AttoFilField(default=0)
    from_balance = AttoFilField(default=0)
    """Of deposits and pledge, what the miner's available balance pays; the message carries the rest."""
    is_aggregate = models.BooleanField(default=False)
    """Whether one proof stands for all of its commits."""
    gas_saved = models.BigIntegerField(default=0)
    """Gas of a trial with single proofs less that of the aggregate."""
    landed_height = models.BigIntegerField(null=True)
    exit_code = models.IntegerField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(
                fields=["miner", "kind"],
                name="batches_open",
                condition=models.Q(state__in=["CLOSED", "SENT"]),
            ),
            models.Index(
                fields=["miner", "landed_height"],
                name="batches_landed",
                condition=models.Q(state="LANDED"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} batch {self.uuid}"


class Sector(Named, Timestamped):
    """A sector of a miner, from its number to its end."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = TRANSITIONS

    miner = models.ForeignKey(Miner, on_delete=models.PROTECT, related_name="sectors")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    """The miner's: it stands here too so that a tenant's pages read an index of the tenant's own rows."""
    number = models.BigIntegerField()
    pledge = models.ForeignKey(Pledge, null=True, on_delete=models.PROTECT, related_name="sectors")
    without_pledge = models.BooleanField(default=False, db_default=False)
    """Adopted from the chain, or begun for pieces: no pledge of it can be lost."""
    state = models.CharField(max_length=24, choices=SECTOR_STATES, default=SectorState.ALLOCATED)
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
    error = models.TextField(blank=True)
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
            models.Index(fields=["expiration"], name="sectors_expiring", condition=models.Q(state="PROVING")),
            models.Index(
                fields=["tenant", "expiration"],
                name="sectors_tenant_expiring",
                condition=models.Q(state="PROVING"),
            ),
            models.Index(fields=["paused_at"], name="sectors_paused", condition=~models.Q(paused_at=None)),
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
    def is_without_files(self) -> bool:
        """Return whether its files were lost with their store, and none were made or found since."""
        return self.files_lost_at is not None and not self.store

    @property
    def step(self) -> StageSpec:
        """What follows its state."""
        return NEXT_STAGE[self.state]

    @property
    def stage(self) -> str:
        """What is done next, upper case."""
        return str(self.step.stage)

    @property
    def progress(self) -> float | None:
        """How far the stage is, 0 to 1; None when nobody knows."""
        return self.progress_done / self.progress_total if self.progress_total else None


class SectorChange(Named, Timestamped):
    """A proving sector is to end before its time, or to live longer: asked for once, sent in one message."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = CHANGE_TRANSITIONS

    sector = models.ForeignKey(Sector, on_delete=models.PROTECT, related_name="changes")
    kind = models.CharField(max_length=16, choices=CHANGE_KINDS)
    state = models.CharField(max_length=24, choices=CHANGE_STATES)
    batch = models.ForeignKey(Batch, null=True, on_delete=models.PROTECT, related_name="changes")
    """The last that it was in; None until it was sent."""
    expiration = models.BigIntegerField(null=True)
    """Of an extension: the epoch at which the sector is to end."""
    old_expiration = models.BigIntegerField(null=True)
    """When it would have ended, as the chain said when it was asked for."""
    drops_claims = models.BooleanField(default=False)
    """Whether claims that cannot last as long are given up."""
    fee = AttoFilField(default=0)
    """Of a termination: the chain's fee, as it was shown when it was asked for."""
    queued_height = models.BigIntegerField()
    actor = models.CharField(max_length=200)
    reason = models.CharField(max_length=500, blank=True)
    exit_code = models.IntegerField(null=True)
    """The actor's, where it failed on chain or in a trial."""
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["sector"],
                name="one_open_change_per_sector",
                condition=models.Q(state__in=list(OPEN_CHANGES)),
            )
        ]
        indexes = [
            models.Index(
                fields=["state"],
                name="changes_queued",
                condition=models.Q(state__in=["TERMINATE_QUEUED", "EXTEND_QUEUED"]),
            ),
            models.Index(
                fields=["updated_at"],
                name="changes_failed",
                condition=models.Q(state__in=["TERMINATE_FAILED", "EXTEND_FAILED"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind.lower()} of {self.sector}"

    @property
    def stage(self) -> str:
        """What is done next, upper case."""
        return str(CHANGE_NEXT[self.state].stage)


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

    def __str__(self) -> str:
        return f"active sectors of {self.miner}"


class SectorProof(models.Model):
    """The proof of replication that a host made; apart from the sector, so that lists do not carry it."""

    sector = models.OneToOneField(Sector, on_delete=models.CASCADE, related_name="final_proof")
    proof = models.BinaryField()
    seed_epoch = models.BigIntegerField()

    def __str__(self) -> str:
        return f"proof of {self.sector}"


class Job(Named, Timestamped):
    """Work for a host: the row is the truth, every message about it is a hint."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = JOB_TRANSITIONS

    kind = models.CharField(max_length=16)
    """`poolsite.wire.jobs.JobKind`."""
    state = models.CharField(max_length=16, choices=JobState.choices, default=JobState.READY)
    miner = models.ForeignKey(Miner, on_delete=models.PROTECT, related_name="jobs")
    sector = models.OneToOneField(Sector, null=True, on_delete=models.CASCADE, related_name="job")
    stage = models.CharField(max_length=24)
    """The next stage, for hosts that look for work."""
    rank = models.SmallIntegerField(default=0)
    """Place of the stage in the pipeline: what is further on goes first."""
    priority = models.IntegerField(default=0)
    time_sensitive = models.BooleanField(default=False)
    inputs = models.JSONField(default=dict)
    """What a proof job works on; a sealing job takes its inputs from the sector."""
    result = models.JSONField(default=dict)
    proof = models.BinaryField(null=True)
    expires_at = models.DateTimeField(null=True)
    """When the result is of no more use."""

    worker = models.ForeignKey(Worker, null=True, on_delete=models.SET_NULL, related_name="jobs")
    """Who holds the lease."""
    sticky_worker = models.ForeignKey(
        Worker, null=True, on_delete=models.SET_NULL, related_name="sticky_jobs"
    )
    """Whose disk holds the sector's files; only it may claim, unless the job is portable."""
    is_portable = models.BooleanField(default=False)
    """Whether the console has all that the next stage needs, so that any host may do it."""
    lease_token = models.BigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    lease_s = models.IntegerField()
    offered_to = models.JSONField(null=True)
    """Keys of the workers that may claim it; None: all of the tenant's."""
    claimed_height = models.BigIntegerField(null=True)
    """The head's height at the last claim."""
    moved_height = models.BigIntegerField(null=True)
    """Of a proof: the head's height when its host last told of more done, claimed it, or it was offered."""
    progress_done = models.BigIntegerField(default=0)
    """Of a proof; how far a sealing stage is stands in the sector."""
    progress_total = models.BigIntegerField(default=0)
    progress_unit = models.CharField(max_length=100, blank=True)
    """What the host counts; empty: nothing was told."""
    seq = models.BigIntegerField(default=0)
    """Number of the last event that was accepted."""
    not_before = models.DateTimeField(null=True)
    attempts = models.IntegerField(default=0)
    error = models.TextField(blank=True)
    heard_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(
                fields=["kind", "stage"],
                name="jobs_to_do",
                condition=models.Q(state__in=["READY", "LEASED"]),
            ),
            models.Index(
                fields=["kind", "miner"], name="jobs_ready", condition=models.Q(state=JobState.READY)
            ),
            # Not by `lease_until`: heartbeats write that, which touches no index as long as none has it.
            models.Index(
                fields=["kind", "worker"], name="jobs_leased", condition=models.Q(state=JobState.LEASED)
            ),
            models.Index(
                fields=["sticky_worker"],
                name="jobs_of_host",
                condition=models.Q(state__in=["READY", "LEASED"]),
            ),
            models.Index(
                fields=["-time_sensitive", "-priority", "-rank", "created_at", "id"],
                name="jobs_new",
                condition=models.Q(state__in=["READY", "LEASED"], kind="seal", sticky_worker=None),
            ),
            models.Index(
                fields=["-time_sensitive", "-priority", "-rank", "created_at", "id"],
                name="jobs_portable",
                condition=models.Q(state__in=["READY", "LEASED"], is_portable=True),
            ),
            # Written at once: a claim would read what is pending from end to end.
            GinIndex(
                fields=["offered_to"],
                name="jobs_offered",
                opclasses=["jsonb_path_ops"],
                fastupdate=False,
                condition=models.Q(state__in=["READY", "LEASED"], kind__in=["unseal", "snap_up", "rebuild"]),
            ),
            models.Index(
                fields=["miner"],
                name="jobs_unseal_failed",
                condition=models.Q(state="FAILED", kind="unseal"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} job {self.uuid}"


class CommitAggregate(Timestamped):
    """Sectors whose commits are to go with one proof, which a host makes."""

    miner = models.ForeignKey(Miner, on_delete=models.PROTECT, related_name="+")
    seal_proof = models.IntegerField(default=0)
    """Of all its sectors."""
    job = models.OneToOneField(Job, on_delete=models.CASCADE, related_name="+")
    sectors = models.JSONField()
    """Keys of the sectors, by their numbers."""
    digest = models.CharField(max_length=64)
    """Of the sectors and their proofs: others need another aggregate."""
    reason = models.CharField(max_length=100)
    """Why their batch was due."""
    is_over = models.BooleanField(default=False)
    """Used, or of no use any more."""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["miner", "seal_proof"],
                condition=models.Q(is_over=False),
                name="one_aggregate_of_a_proof_type",
            )
        ]

    def __str__(self) -> str:
        return f"aggregate of {len(self.sectors)} sectors of {self.miner}"


class JobEvent(models.Model):
    """One step of a job: what a host reported, or what the console did itself."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="events")
    seq = models.BigIntegerField(null=True)
    """The host's number; None for steps of the console and for failures."""
    token = models.BigIntegerField(null=True)
    event = models.CharField(max_length=40)
    from_state = models.CharField(max_length=24)
    to_state = models.CharField(max_length=24)
    stage = models.CharField(max_length=24, blank=True)
    """The stage that ended."""
    at = models.DateTimeField()
    ms = models.BigIntegerField(null=True)
    actor = models.CharField(max_length=200, blank=True)
    worker = models.ForeignKey(Worker, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    """The host that reported it; None for steps of the console and of people."""
    note = models.TextField(blank=True)
    is_error = models.BooleanField(default=False)
    digest = models.CharField(max_length=64, blank=True)
    """SHA-256 of the report, so that a repeated one is told from another."""

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["job", "seq"], name="one_event_per_number")]
        indexes = [
            models.Index(
                fields=["worker", "-id"],
                name="events_of_a_host",
                condition=models.Q(is_error=True) | models.Q(event="FINALIZE"),
            ),
            models.Index(
                fields=["worker", "-id"],
                name="runs_of_a_host",
                condition=models.Q(ms__isnull=False) | models.Q(is_error=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event} of {self.job_id}"

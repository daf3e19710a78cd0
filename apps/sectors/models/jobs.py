"""Jobs for hosts, and what became of each."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.indexes import GinIndex
from django.db import models

from apps.core.models import Named, Timestamped
from apps.core.reason_fields import CodedField, ReasonTextField, WithReasons
from apps.miners.models import Miner
from apps.sectors.models.hosts import Worker
from apps.sectors.models.sectors import Sector
from apps.sectors.states import JOB_TRANSITIONS, JobState


class Job(WithReasons, Named, Timestamped):
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
    error = ReasonTextField(blank=True)
    error_coded = CodedField()
    turn = models.BigIntegerField(null=True)
    """Of a sector that a host has begun: above all of its tenant by then.  Miners begin theirs in turn."""
    heard_at = models.DateTimeField(null=True)
    """When its holder was heard of; None: no host has had it, or none since its sector's ticket was drawn."""

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
            # No index has `lease_until`: heartbeats write it, and so touch none.
            models.Index(
                fields=["kind", "worker"], name="jobs_leased", condition=models.Q(state=JobState.LEASED)
            ),
            models.Index(
                fields=["sticky_worker"],
                name="jobs_of_host",
                condition=models.Q(state__in=["READY", "LEASED"]),
            ),
            models.Index(
                fields=["miner", "-time_sensitive", "-priority", "-rank", "created_at", "id"],
                name="jobs_new",
                condition=models.Q(state__in=["READY", "LEASED"], kind="seal", sticky_worker=None),
            ),
            models.Index(
                fields=["miner", "-turn"], name="jobs_turns", condition=models.Q(turn__isnull=False)
            ),
            models.Index(
                fields=["-time_sensitive", "-priority", "-rank", "created_at", "id"],
                name="jobs_portable",
                condition=models.Q(state__in=["READY", "LEASED"], is_portable=True),
            ),
            # Entries go into the index at once: a claim would read the pending list from end to end.
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


class JobEvent(WithReasons):
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
    note = ReasonTextField(blank=True)
    note_coded = CodedField()
    is_error = models.BooleanField(default=False)
    is_withdrawn = models.BooleanField(default=False, db_default=False)
    """Whether its message was withdrawn before it was signed: that cost nothing and is no attempt."""
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

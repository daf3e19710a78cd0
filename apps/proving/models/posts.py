"""Our proofs of windows: the proof, the attempts at it, and what was noted about them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from apps.core.models import Named, Timestamped
from apps.core.reason_fields import CodedField, ReasonCharField, ReasonTextField, WithReasons
from apps.miners.models import Miner
from apps.proving.states import (
    ATTEMPT_TRANSITIONS,
    OPEN_ATTEMPTS,
    POST_TRANSITIONS,
    AttemptKind,
    AttemptState,
    PostState,
)
from apps.sectors.models import Job


class WindowPost(WithReasons, Named, Timestamped):
    """The proof of some partitions for one window of one deadline."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = POST_TRANSITIONS

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="window_posts")
    deadline_index = models.IntegerField()
    open_epoch = models.BigIntegerField()
    close_epoch = models.BigIntegerField()
    challenge_epoch = models.BigIntegerField()
    part = models.IntegerField(default=0)
    """Which message of the deadline: the chain takes only a few partitions in one."""
    state = models.CharField(max_length=16, choices=PostState.choices, default=PostState.PROVING)
    partitions = models.JSONField(default=list)
    """Indexes of the partitions."""
    skipped = models.JSONField(default=dict)
    """Partition index (text) to the numbers of sectors that are left out."""
    randomness = models.BinaryField()
    proof = models.BinaryField(null=True)
    """The proof in hand: checked here, for `partitions` without `skipped`."""
    tries = models.IntegerField(default=0)
    """Failures in a row."""
    try_epoch = models.BigIntegerField(null=True)
    """Not tried again before."""
    message_id = models.CharField(max_length=200, blank=True)
    messages_sent = models.IntegerField(default=0)
    sent_height = models.BigIntegerField(null=True)
    """The head's height when the last message was pushed."""
    landed_height = models.BigIntegerField(null=True)
    exit_code = models.IntegerField(null=True)
    error = ReasonTextField(blank=True)
    error_coded = CodedField()
    proved_at = models.DateTimeField(null=True)
    """When its latest proof was in hand; a window missed with one is not its tenant's miss."""

    class Meta:
        ordering = ["-open_epoch", "part"]
        constraints = [
            models.UniqueConstraint(
                fields=["miner", "deadline_index", "open_epoch", "part"], name="one_proof_per_window_and_part"
            )
        ]
        indexes = [
            models.Index(
                fields=["close_epoch"],
                name="posts_open",
                condition=models.Q(state__in=["PROVING", "PROVED", "SENT", "NOTHING"]),
            ),
            models.Index(fields=["close_epoch"], name="posts_missed", condition=models.Q(state="MISSED")),
            models.Index(fields=["close_epoch"], name="posts_landed", condition=models.Q(state="LANDED")),
        ]

    def __str__(self) -> str:
        return f"{self.miner} deadline {self.deadline_index} at {self.open_epoch}"

    def attempts_open(self) -> dict[str, ProofAttempt]:
        """Return the open attempts by their kinds."""
        return {one.kind: one for one in self.attempts.all() if one.state in OPEN_ATTEMPTS}

    def attempt(self, kind: str) -> ProofAttempt | None:
        """Return the open attempt of this kind."""
        return self.attempts_open().get(kind)


class ProofAttempt(WithReasons, Timestamped):
    """One way to the proof of a window: a job that a host is asked, or a proof that is kept in reserve."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = ATTEMPT_TRANSITIONS

    post = models.ForeignKey(WindowPost, on_delete=models.CASCADE, related_name="attempts")
    kind = models.CharField(max_length=16, choices=AttemptKind.choices)
    state = models.CharField(max_length=16, choices=AttemptState.choices, default=AttemptState.RUNNING)
    job = models.OneToOneField(Job, null=True, on_delete=models.CASCADE, related_name="proof_attempt")
    """None for a fallback, which is a proof already."""
    host = models.CharField(max_length=100, blank=True)
    """Name of the worker that held the job when the state was written; empty: none."""
    reason = ReasonCharField(max_length=300, blank=True)
    """Why it is in its state; of a stalled one also which host it was offered to."""
    reason_coded = CodedField()
    proof = models.BinaryField(null=True)
    partitions = models.JSONField(default=list)
    skipped = models.JSONField(default=dict)
    """As the window's own; all three of a fallback."""

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["post", "kind"],
                name="one_open_attempt_of_each_kind",
                condition=models.Q(state__in=["RUNNING", "STALLED", "AVAILABLE"]),
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.post}"

    @property
    def work(self) -> Job:
        """The job of an attempt that a host is asked for.  Raises ValueError for a fallback."""
        if self.job is None:
            raise ValueError(f"{self} has no job")
        return self.job


class PostNote(WithReasons):
    """What was tried for a window's proof and came out otherwise than it should."""

    post = models.ForeignKey(WindowPost, on_delete=models.CASCADE, related_name="notes")
    at = models.DateTimeField()
    epoch = models.BigIntegerField()
    """The head's height."""
    words = ReasonCharField(max_length=300)
    words_coded = CodedField()
    is_error = models.BooleanField(default=True)
    """False for what mends something."""

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.post} at epoch {self.epoch}: {self.words}"

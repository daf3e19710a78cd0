"""Deadlines and partitions of miners as the chain keeps them, and our proofs and recoveries for them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from apps.core.fields import AddressField, CidField
from apps.core.models import Named, Timestamped
from apps.miners.models import Miner
from apps.proving.settings_models import ProvingSettings as ProvingSettings
from apps.proving.states import (
    ATTEMPT_TRANSITIONS,
    CHECK_TRANSITIONS,
    DECLARATION_TRANSITIONS,
    OPEN_ATTEMPTS,
    POST_TRANSITIONS,
    RECOVERY_TRANSITIONS,
    AttemptKind,
    AttemptState,
    CheckKind,
    CheckState,
    DeclarationState,
    Forecast,
    PostState,
    RecoveryState,
)
from apps.sectors.models import Job


class Deadline(models.Model):
    """One of a miner's deadlines, with the window that is open or comes next."""

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="deadlines")
    index = models.IntegerField()
    period_start = models.BigIntegerField()
    open_epoch = models.BigIntegerField()
    close_epoch = models.BigIntegerField()
    challenge_epoch = models.BigIntegerField()
    cutoff_epoch = models.BigIntegerField()
    """From here on faults and recoveries of this window cannot be declared any more."""
    partitions_count = models.IntegerField(default=0)
    live = models.BigIntegerField(default=0)
    active = models.BigIntegerField(default=0)
    faulty = models.BigIntegerField(default=0)
    recovering = models.BigIntegerField(default=0)
    faulty_since = models.BigIntegerField(null=True)
    """Epoch of the head at which the oldest of its faults was first seen, while there are any."""
    forecast = models.CharField(max_length=16, choices=Forecast.choices, default=Forecast.NOTHING)
    reason = models.CharField(max_length=200, blank=True)
    """Why the forecast is what it is, in words."""
    root = CidField(blank=True, default="")
    """What named its state when its partitions were read: while it stays, so do they."""
    refreshed_height = models.BigIntegerField(default=-1)
    checked_open = models.BigIntegerField(null=True)
    """The opening of the last window for which the sectors' files were looked at ahead."""
    stores = models.JSONField(default=list)
    """Names of the stores in which its sectors lay then."""
    lacks = models.JSONField(default=dict)
    """What its next proof needs and is not there: the precondition's name to the reason."""
    miss = models.FloatField(null=True)
    """Probability that the next proof does not land, from measured times; None while not measured."""

    class Meta:
        ordering = ["miner_id", "index"]
        constraints = [models.UniqueConstraint(fields=["miner", "index"], name="one_row_per_deadline")]

    def __str__(self) -> str:
        return f"{self.miner} deadline {self.index}"


class FollowedWindows(models.Model):
    """How far a miner's windows and partitions were followed."""

    miner = models.OneToOneField(Miner, on_delete=models.CASCADE, related_name="+")
    root = CidField()
    """Of its deadlines: while it stays, so do their partitions."""
    next_close = models.BigIntegerField()
    """The epoch at which the first of its windows closes, so that a row is written."""

    def __str__(self) -> str:
        return f"windows of {self.miner} until {self.next_close}"


class Partition(models.Model):
    """One partition of a deadline: its sectors as sorted lists of numbers."""

    deadline = models.ForeignKey(Deadline, on_delete=models.CASCADE, related_name="partitions")
    index = models.IntegerField()
    all_sectors = models.JSONField(default=list)
    live = models.JSONField(default=list)
    active = models.JSONField(default=list)
    faulty = models.JSONField(default=list)
    faulty_since = models.JSONField(default=dict)
    """Epoch of the head at which each of them was first seen faulty, by its number."""
    recovering = models.JSONField(default=list)

    class Meta:
        ordering = ["deadline_id", "index"]
        constraints = [models.UniqueConstraint(fields=["deadline", "index"], name="one_row_per_partition")]

    def __str__(self) -> str:
        return f"{self.deadline} partition {self.index}"


class WindowPost(Named, Timestamped):
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
    error = models.TextField(blank=True)
    proved_at = models.DateTimeField(null=True)

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
        ]

    def __str__(self) -> str:
        return f"{self.miner} deadline {self.deadline_index} at {self.open_epoch}"

    def attempts_open(self) -> dict[str, ProofAttempt]:
        """Return the open attempts by their kinds."""
        return {one.kind: one for one in self.attempts.all() if one.state in OPEN_ATTEMPTS}

    def attempt(self, kind: str) -> ProofAttempt | None:
        """Return the open attempt of this kind."""
        return self.attempts_open().get(kind)


class ProofAttempt(Timestamped):
    """One way to the proof of a window: a job that a host is asked, or a proof that is kept in reserve."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = ATTEMPT_TRANSITIONS

    post = models.ForeignKey(WindowPost, on_delete=models.CASCADE, related_name="attempts")
    kind = models.CharField(max_length=16, choices=AttemptKind.choices)
    state = models.CharField(max_length=16, choices=AttemptState.choices, default=AttemptState.RUNNING)
    job = models.OneToOneField(Job, null=True, on_delete=models.CASCADE, related_name="proof_attempt")
    """None for a fallback, which is a proof already."""
    host = models.CharField(max_length=100, blank=True)
    """Name of the worker that was at it when the state was written; empty: nobody."""
    reason = models.CharField(max_length=300, blank=True)
    """Why it is in its state, in words; of a stalled one also who was asked beside it."""
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
                condition=models.Q(state__in=["RUNNING", "STALLED", "KEPT"]),
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


class PostNote(models.Model):
    """What was tried for a window's proof and came out otherwise than it should, in words."""

    post = models.ForeignKey(WindowPost, on_delete=models.CASCADE, related_name="notes")
    at = models.DateTimeField()
    epoch = models.BigIntegerField()
    """The head's height."""
    words = models.CharField(max_length=300)
    is_error = models.BooleanField(default=True)
    """False for what mends something."""

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.post} at epoch {self.epoch}: {self.words}"


class Recovery(Named, Timestamped):
    """Faulty sectors of one partition that are to be declared good before the next cut-off."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = RECOVERY_TRANSITIONS

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="recoveries")
    deadline_index = models.IntegerField()
    partition_index = models.IntegerField()
    open_epoch = models.BigIntegerField()
    """Of the window in which the sectors are to be proved again."""
    cutoff_epoch = models.BigIntegerField()
    state = models.CharField(max_length=16, choices=RecoveryState.choices, default=RecoveryState.CHECKING)
    sectors = models.JSONField(default=list)
    good = models.JSONField(default=list)
    randomness = models.BinaryField()
    job = models.OneToOneField(Job, null=True, on_delete=models.SET_NULL, related_name="recovery")
    message_id = models.CharField(max_length=200, blank=True)
    messages_sent = models.IntegerField(default=0)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "recoveries"
        indexes = [
            models.Index(
                fields=["miner"],
                name="recoveries_open",
                condition=models.Q(state__in=["CHECKING", "GOOD", "SENT", "LANDED"]),
            )
        ]

    def __str__(self) -> str:
        return f"{self.miner} deadline {self.deadline_index} partition {self.partition_index}"


class FaultDeclaration(Named, Timestamped):
    """Sectors of one partition that are declared faulty before the cut-off, since their files are bad."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = DECLARATION_TRANSITIONS

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="fault_declarations")
    deadline_index = models.IntegerField()
    partition_index = models.IntegerField()
    open_epoch = models.BigIntegerField()
    """Of the window that goes without these sectors."""
    cutoff_epoch = models.BigIntegerField()
    state = models.CharField(
        max_length=16, choices=DeclarationState.choices, default=DeclarationState.DECIDED
    )
    sectors = models.JSONField(default=list)
    message_id = models.CharField(max_length=200, blank=True)
    messages_sent = models.IntegerField(default=0)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(
                fields=["miner"],
                name="declarations_open",
                condition=models.Q(state__in=["DECIDED", "SENT", "LANDED"]),
            ),
            models.Index(fields=["miner", "deadline_index", "open_epoch"], name="declarations_of_a_window"),
        ]

    def __str__(self) -> str:
        return f"{self.miner} deadline {self.deadline_index} partition {self.partition_index}"


class CheckRun(Named, Timestamped):
    """One look of one host at the files of some sectors of a deadline."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = CHECK_TRANSITIONS

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="check_runs")
    kind = models.CharField(max_length=16, choices=CheckKind.choices)
    state = models.CharField(max_length=16, choices=CheckState.choices, default=CheckState.RUNNING)
    deadline_index = models.IntegerField()
    open_epoch = models.BigIntegerField()
    """Of the window that it is for."""
    partitions = models.JSONField(default=list)
    store = models.CharField(max_length=110, blank=True)
    """Where the files should lie; empty: in whichever store the host has."""
    sectors = models.JSONField(default=list)
    """Numbers, while it runs."""
    count = models.IntegerField(default=0)
    bad = models.JSONField(default=list)
    """Number, path and reason of each sector whose files are not good."""
    job = models.OneToOneField(Job, null=True, on_delete=models.SET_NULL, related_name="check_run")
    host = models.CharField(max_length=100, blank=True)
    ms = models.BigIntegerField(default=0)
    """How long it took the host."""
    read_ms = models.BigIntegerField(default=0)
    error = models.TextField(blank=True)
    actor = models.CharField(max_length=200, blank=True)
    """Who asked for it; empty: the pool itself."""

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["miner", "deadline_index", "-id"], name="checks_of_a_deadline"),
            models.Index(fields=["miner"], name="checks_running", condition=models.Q(state="RUNNING")),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.miner} deadline {self.deadline_index}"


class SectorCheck(models.Model):
    """What was last found of a sector's files in one store."""

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="sector_checks")
    number = models.BigIntegerField()
    deadline_index = models.IntegerField()
    store = models.CharField(max_length=110, blank=True)
    host = models.CharField(max_length=100, blank=True)
    """Who looked."""
    is_good = models.BooleanField()
    path = models.CharField(max_length=300, blank=True)
    """Of the sealed file, where it is bad."""
    reason = models.CharField(max_length=300, blank=True)
    good_in = models.CharField(max_length=110, blank=True)
    """Another store, of which a proof reads it; only a look into this one says that it is good again."""
    checked_at = models.DateTimeField()
    height = models.BigIntegerField()
    """The head's when it was found; of several looks close together, at the first."""
    bad_since = models.BigIntegerField(null=True)
    """The head's height when it was first found bad, while it is."""
    bad_times = models.IntegerField(default=0)
    """Looks in a row that found it bad, each a while after the one before."""

    class Meta:
        ordering = ["miner_id", "number"]
        constraints = [
            models.UniqueConstraint(
                fields=["miner", "number", "store"], name="one_check_per_sector_and_store"
            )
        ]
        indexes = [
            models.Index(
                fields=["miner", "deadline_index"], name="sectors_bad", condition=models.Q(is_good=False)
            )
        ]

    def __str__(self) -> str:
        return f"{self.miner} {self.number} in {self.store or 'any store'}"


class Dispute(models.Model):
    """Somebody's DisputeWindowedPoSt against one of our proofs."""

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="disputes")
    deadline_index = models.IntegerField()
    post_index = models.IntegerField()
    """Of the proof among those of the deadline that can be disputed."""
    from_addr = AddressField()
    cid = CidField(unique=True)
    """Of the message."""
    height = models.BigIntegerField()
    """Of the head that executed it."""
    exit_code = models.IntegerField()
    """0: the proof was wrong; its sectors are faulty, and the miner has paid."""
    found_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-height", "-pk"]
        indexes = [models.Index(fields=["miner", "-height"], name="disputes_of_a_miner")]

    def __str__(self) -> str:
        return f"dispute of {self.miner} deadline {self.deadline_index} at {self.height}"


class DisputesRead(models.Model):
    """How far the chain was read for disputes: one row."""

    height = models.BigIntegerField()

    def __str__(self) -> str:
        return f"read to {self.height}"

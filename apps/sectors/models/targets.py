"""What miners have of their own: sealing targets, and settings beside the pool's."""

from __future__ import annotations

from django.db import models

from apps.core.fields import AttoFilField
from apps.core.models import Timestamped
from apps.core.reason_fields import CodedField, ReasonCharField, WithReasons


class SealTarget(WithReasons, Timestamped):
    """Sectors that are pledged for a miner by the pool itself: so many in work, or so many bytes a day."""

    miner = models.OneToOneField("miners.Miner", on_delete=models.CASCADE, related_name="seal_target")
    in_work = models.IntegerField(null=True)
    """Sectors that are to be under way at any time; None: `day_bytes` counts."""
    day_bytes = models.BigIntegerField(null=True)
    """Bytes of new sectors a day."""
    since = models.DateTimeField()
    """From when on a day's bytes are counted: when they were set."""
    until = models.DateTimeField(null=True)
    """Nothing is pledged from then on."""
    power_max = models.BigIntegerField(null=True)
    """Nothing is pledged once the miner's quality-adjusted power, with what is under way, reaches this."""
    base_fee_max = AttoFilField(null=True)
    """Nothing is pledged while the base fee is above this."""
    balance_min = AttoFilField(default=0)
    """attoFIL that stay in each address that pays, after all that is promised."""

    held_by = models.CharField(max_length=16, blank=True)
    """`Hold`; empty while nothing keeps it from pledging."""
    reason = ReasonCharField(max_length=500, blank=True)
    """Why nothing is pledged, in words."""
    reason_coded = CodedField()
    held_since = models.DateTimeField(null=True)
    look_at = models.DateTimeField()
    """When it is looked at next."""

    class Meta:
        indexes = [models.Index(fields=["look_at"], name="seal_targets_due")]

    def __str__(self) -> str:
        return f"target of {self.miner}"


class BatchSettings(Timestamped):
    """How a miner's sectors are filled, paid for and sent to the chain; None: as the pool has it."""

    miner = models.OneToOneField("miners.Miner", on_delete=models.CASCADE, related_name="batch_settings")
    precommit_batch_max = models.IntegerField(null=True)
    precommit_wait_epochs = models.IntegerField(null=True)
    precommit_backlog_epochs = models.IntegerField(null=True)
    commit_batch_max = models.IntegerField(null=True)
    commit_wait_epochs = models.IntegerField(null=True)
    commit_backlog_epochs = models.IntegerField(null=True)
    terminate_batch_max = models.IntegerField(null=True)
    terminate_wait_epochs = models.IntegerField(null=True)
    extend_batch_max = models.IntegerField(null=True)
    extend_wait_epochs = models.IntegerField(null=True)
    update_batch_max = models.IntegerField(null=True)
    update_wait_epochs = models.IntegerField(null=True)
    precommit_base_fee_max = AttoFilField(null=True)
    commit_base_fee_max = AttoFilField(null=True)
    terminate_base_fee_max = AttoFilField(null=True)
    extend_base_fee_max = AttoFilField(null=True)
    update_base_fee_max = AttoFilField(null=True)
    aggregate_commits = models.BooleanField(null=True)
    precommit_slack_epochs = models.IntegerField(null=True)
    commit_batch_bytes = models.IntegerField(null=True)
    aggregate_wait_s = models.IntegerField(null=True)
    pack_wait_s = models.IntegerField(null=True)
    pack_start_slack_epochs = models.IntegerField(null=True)
    snap_up_first = models.BooleanField(null=True)
    send_funds = models.BooleanField(null=True)
    funds_margin_percent = models.IntegerField(null=True)
    sector_life_epochs = models.IntegerField(null=True)
    attempts_max = models.IntegerField(null=True)
    pause_s = models.IntegerField(null=True)
    pause_max_s = models.IntegerField(null=True)
    send_asked_height = models.BigIntegerField(null=True)
    pack_asked_at = models.DateTimeField(null=True)
    """What has waited for a message since this head or an earlier one goes at once: a person asked for it."""

    def __str__(self) -> str:
        return f"batches of {self.miner}"

"""Automatic rules, and what each of them did."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.automation.states import RuleKind
from apps.core.fields import AttoFilField
from apps.core.models import Timestamped
from apps.core.reason_fields import CodedField, ReasonCharField, WithReasons
from apps.messages.models import Message
from apps.users.models import Tenant

NOTE_MAX = 500


class AutoRule(WithReasons, Timestamped):
    """A rule by which the pool tops up, sweeps or extends for a tenant; off until a person switches it on."""

    uuid = models.UUIDField(unique=True, default=uuid.uuid4)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+")
    """The tenant for which it pushes messages."""
    kind = models.CharField(max_length=16, choices=RuleKind.choices)
    settings = models.JSONField()
    """JSON of a `MoneySpec` or, for kind extend, an `ExtendSpec`."""
    is_on = models.BooleanField(default=False)
    people = ArrayField(models.CharField(max_length=150), default=list)
    """Usernames of those who set it as it is and switched it on: none of them approves what it pushes."""
    switched_by = models.CharField(max_length=200, blank=True, default="")
    """Who switched it on or off last."""
    acts_begun = models.PositiveIntegerField(default=0)
    """The number of the next act; with the rule's UUID it is the id of that message."""
    acts_seen = models.PositiveIntegerField(default=0)
    """`acts_begun` when it was last switched on; only acts after it can switch the rule off."""
    note = ReasonCharField(max_length=NOTE_MAX, blank=True, default="")
    """The reason why a due act was not carried out; empty if there is none."""
    note_coded = CodedField()
    noted_at = models.DateTimeField(null=True)
    """Since when; None where nothing is in its way."""
    stopped = ReasonCharField(max_length=NOTE_MAX, blank=True, default="")
    """The reason for which the rule switched itself off; else empty."""
    stopped_coded = CodedField()
    looked_height = models.BigIntegerField(default=0, db_default=0)
    """Head at which a rule that reads many sectors looked for them last."""

    def __str__(self) -> str:
        return f"{self.kind} rule {self.uuid}"


class AutoAct(models.Model):
    """One act of a rule: a message, or an extension of sectors."""

    rule = models.ForeignKey(AutoRule, on_delete=models.CASCADE, related_name="acts")
    number = models.PositiveIntegerField()
    message = models.ForeignKey(Message, null=True, on_delete=models.SET_NULL, related_name="+")
    """None of an extension, and once the message's row was removed."""
    amount = AttoFilField(default=0)
    """attoFIL that it moves."""
    sectors = models.PositiveIntegerField(default=0, db_default=0)
    """Sectors that it extends; their messages follow."""
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rule", "number"], name="auto_act_once")]

    def __str__(self) -> str:
        return f"act {self.number} of rule {self.rule_id}"

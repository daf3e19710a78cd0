"""Roles of hosts, and of groups of hosts."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from apps.core.models import Named, Timestamped
from apps.core.reason_fields import CodedField, ReasonCharField, WithReasons
from apps.miners.models.miners import Miner
from apps.miners.states import EXCLUSIVE_ROLES, ROLE_TRANSITIONS, RoleKind, RoleState


class Role(WithReasons, Named, Timestamped):
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
    note = ReasonCharField(max_length=200, blank=True)
    """Why it is in its state, in words."""
    note_coded = CodedField()
    group = models.CharField(max_length=100, blank=True)
    """The label by which the host has it; empty: it was assigned to the host itself."""
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
        """Return whether one host alone may hold it."""
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

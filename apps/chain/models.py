"""Rows of the chain: nodes, the heads that we followed, and which network this pool is bound to."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.chain.states import NodeCondition, NodeRole
from apps.core.models import Timestamped
from apps.core.reason_fields import CodedField, ReasonCharField, WithReasons


class Node(WithReasons, Timestamped):
    """One JSON-RPC node of the pool, and how it does."""

    Conditions = NodeCondition
    Roles = NodeRole

    url = models.CharField(max_length=500, unique=True)
    """HTTP address of its API, such as http://127.0.0.1:1234/rpc/v1."""
    token = models.TextField(blank=True, default="")
    name = models.CharField(max_length=100, blank=True, default="")
    position = models.PositiveIntegerField(default=0)
    role = models.CharField(max_length=20, choices=NodeRole.choices, default=NodeRole.MAIN)
    weight = models.PositiveIntegerField(default=1)
    """Among equals the heavier one is asked first."""
    is_enabled = models.BooleanField(default=True)
    is_configured = models.BooleanField(default=True)
    """True if CHAIN_URLS names it, false if an operator added it."""
    condition = models.CharField(max_length=20, choices=NodeCondition.choices, default=NodeCondition.UNKNOWN)
    """What the last probe measured: no step of a table, so each probe writes what it found."""
    error = ReasonCharField(max_length=500, blank=True, default="")
    error_coded = CodedField()
    version = models.CharField(max_length=100, blank=True, default="")
    head_height = models.BigIntegerField(null=True)
    lag_epochs = models.IntegerField(default=0)
    """Epochs behind the newest head that any node of the pool has."""
    lag_s = models.IntegerField(default=0)
    """Seconds of chain time behind that head."""
    latency_ms = models.FloatField(null=True)
    probes = ArrayField(models.FloatField(null=True), default=list)
    """Answer times of the latest probes in ms, oldest first; null where one failed."""
    peers = models.IntegerField(null=True)
    """Null if the node does not tell."""
    sync = models.CharField(max_length=60, blank=True, default="")
    """The stage of the node's own synchronisation, in words."""
    network_name = models.CharField(max_length=100, blank=True, default="")
    network_version = models.IntegerField(null=True)
    is_devnet = models.BooleanField(default=False)
    """True if the node says that it is a devnet: then it has faults to set."""
    upgrades = models.JSONField(default=dict)
    """Epochs of the network upgrades that its release knows, by name; empty if it does not tell."""
    checked_at = models.DateTimeField(null=True)
    detailed_at = models.DateTimeField(null=True)
    """When version, peers and the like were last asked for."""

    class Meta:
        ordering = ("position", "pk")

    def __str__(self) -> str:
        return self.name or self.url

    @property
    def error_rate(self) -> float:
        """Share of the latest probes that failed, 0 to 1."""
        return self.probes.count(None) / len(self.probes) if self.probes else 0.0

    def latency_quantile(self, share: float) -> float | None:
        """Return the answer time in ms that this share of the latest probes kept to; None without any."""
        times = sorted(value for value in self.probes if value is not None)
        return times[min(int(share * len(times)), len(times) - 1)] if times else None


class Network(Timestamped):
    """The one network this pool is bound to, with what its nodes say about it; a single row."""

    name = models.CharField(max_length=100)
    genesis = models.CharField(max_length=200)
    """CID of the genesis block: two chains may bear one name."""
    version = models.IntegerField(default=0)
    params = models.JSONField(default=dict)
    """The answer of StateGetNetworkParams, which overlays our table's row."""

    def __str__(self) -> str:
        return self.name


class Head(models.Model):
    """A tipset that was, or still is, on the chain that we follow."""

    key = models.TextField(unique=True)
    height = models.BigIntegerField()
    cids = ArrayField(models.CharField(max_length=120))
    parent_key = models.TextField(db_index=True)
    timestamp = models.BigIntegerField()
    base_fee = models.DecimalField(max_digits=40, decimal_places=0)
    miners = ArrayField(models.CharField(max_length=120), default=list)
    arrived_at = models.DateTimeField()
    is_canonical = models.BooleanField(default=True)
    """False once a reorganisation took it off our chain."""
    is_after_gap = models.BooleanField(default=False)
    """True if we do not know the tipsets below it: readers must ask the node for what happened there."""

    class Meta:
        indexes = [
            models.Index(fields=["-height"], name="head_height"),
            models.Index(fields=["-height"], name="head_canonical", condition=models.Q(is_canonical=True)),
        ]

    def __str__(self) -> str:
        return f"{self.height}"


class Follower(models.Model):
    """Where the follower stands; a single row that each step of it changes."""

    head = models.ForeignKey(Head, null=True, on_delete=models.SET_NULL, related_name="+")
    steps_key = models.TextField(blank=True, default="")
    """The head whose steps were enqueued; another one than `head` means they are still due."""
    steps_epoch = models.BigIntegerField(default=-1)
    """The newest epoch whose steps were enqueued, with a head or without."""

    def __str__(self) -> str:
        return f"follower at {self.head}"

"""Who sends, under which fee rules, and through which nodes beside the pool's own."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from apps.core.fields import AddressField, AttoFilField, CidField
from apps.core.models import Timestamped
from apps.core.reason_fields import CodedField, ReasonCharField, WithReasons
from apps.messages.states import SENDER_TRANSITIONS, NoncesBy, SenderState, Wait


class FeeRules(models.Model):
    """Columns of every fee rule; zero means that this level says nothing."""

    gas_over_estimation = models.FloatField(default=0)
    """Factor from simulated gas to the gas limit."""
    max_fee = AttoFilField(default=0)
    """Most that the gas of one message may cost."""
    gas_fee_cap = AttoFilField(default=0)
    gas_over_premium = models.FloatField(default=0)
    """Factor on the node's premium."""
    base_fee = AttoFilField(default=0)
    """Gate: above this base fee nothing is chosen."""

    class Meta:
        abstract = True


class SharedRules(FeeRules):
    """The pool's own rules, under all others; a single row."""

    quota = models.PositiveIntegerField(default=20)
    """Messages that one sender may have in flight."""

    def __str__(self) -> str:
        return "shared rules"


class ActorRules(FeeRules, Timestamped):
    """Rules for one method of one kind of actor, by its code."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    actor_version = models.IntegerField(default=0)
    code = CidField()
    """Of the network version at which the rule was set."""
    kind = models.CharField(max_length=32, blank=True)
    """Of that code, as `Receiver.kind`; empty where it was not known.  The rule outlives the code by it."""
    method = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["code", "method"], name="actor_rules_once")]

    def __str__(self) -> str:
        return f"{self.code} method {self.method}"


class Sender(WithReasons, FeeRules, Timestamped):
    """An address that messages are sent from: the owner of a row of nonces."""

    States = SenderState
    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = SENDER_TRANSITIONS

    uuid = models.UUIDField(unique=True, default=uuid.uuid4)
    address = AddressField(unique=True)
    state = models.CharField(max_length=16, choices=SenderState.choices, default=SenderState.ALIVE)
    quota = models.PositiveIntegerField(default=0)
    """Messages in flight; 0 means the shared rule."""
    next_nonce = models.BigIntegerField(default=0)
    """The nonce that the next message gets, unless a gap below it must be filled first."""
    version = models.BigIntegerField(default=0)
    """Grows with every change of nonces: what was computed from an older one is thrown away."""
    chain_nonce = models.BigIntegerField(null=True)
    """Nonce of the actor when last read, advanced by each landing since and set back by each revert."""
    balance = AttoFilField(null=True)
    """When last read; `selectors.balances` knows better where the address is a wallet of ours."""
    is_offline = models.BooleanField(default=False, db_default=False)
    """Its key is at no signer: a message gets its nonce when a person exports it, and is signed elsewhere."""
    gap_nonce = models.BigIntegerField(null=True)
    """Lowest nonce in flight that no message of ours and none in the node's pool has."""
    gap_height = models.BigIntegerField(null=True)
    """Head at which the gap was first seen."""
    foreign_at = models.DateTimeField(null=True)
    """When a message that we did not make was last seen from this address."""
    foreign_cid = CidField(blank=True, default="")
    nonces_by = models.CharField(
        max_length=16, choices=NoncesBy.choices, blank=True, default=NoncesBy.POOL, db_default=""
    )
    """Set to `OTHER` once a program has a message signed or pushes one, to `BOTH` by a person."""
    read_back_at = models.DateTimeField(null=True)
    """When what it sent was last read back from the chain, after a restore."""
    read_nonce = models.BigIntegerField(null=True)
    """The nonce from which on it is still to be read back; None: from the backup's height on."""
    unrecorded_nonce = models.BigIntegerField(null=True)
    """Lowest nonce of a message like a waiting one that no row has; nothing is signed until it is matched."""
    unrecorded_at = models.DateTimeField(null=True)
    """When such a message was last seen while no other sender had any."""
    wait = models.CharField(max_length=16, choices=Wait.choices, blank=True, default="")
    """What held up the whole sender at the last selection."""
    error = ReasonCharField(max_length=1000, blank=True, default="")
    error_coded = CodedField()

    def __str__(self) -> str:
        return str(self.address)


class ExtraNode(Timestamped):
    """A node that messages are published to beside the pool's own; the messager's `node` table."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=200, unique=True)
    url = models.CharField(max_length=500)
    token = models.TextField(blank=True, default="")
    node_type = models.IntegerField(default=0)

    def __str__(self) -> str:
        return self.name

"""Miners, and the addresses chosen to send for them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from apps.core.fields import AddressField, AttoFilField
from apps.core.models import Named, Timestamped
from apps.core.reason_fields import CodedField, ReasonTextField, WithReasons
from apps.miners.states import TRANSITIONS, MinerState, Use
from apps.users.models import Tenant


class Miner(WithReasons, Named, Timestamped):
    """A storage provider's actor."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = TRANSITIONS

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="miners")
    name = models.CharField(max_length=64, blank=True)
    """What its people call it."""
    state = models.CharField(max_length=16, choices=MinerState.choices, default=MinerState.CREATING)
    actor_id = models.BigIntegerField(null=True, unique=True)
    """None until CreateMiner has landed."""
    robust = AddressField(blank=True, default="")
    create_message_id = models.CharField(max_length=200, null=True, unique=True)  # noqa: DJ001  # unique needs NULL
    """Our id of the CreateMiner message; None for a miner that was there before."""
    created_height = models.BigIntegerField(null=True)
    error = ReasonTextField(blank=True)
    error_coded = CodedField()

    owner = AddressField()
    worker = AddressField()
    """As the chain resolves it: the key, not the ID."""
    owner_id = models.BigIntegerField(null=True)
    worker_id = models.BigIntegerField(null=True)
    control = models.JSONField(default=list)
    """Key addresses that may send messages for the miner too."""
    control_ids = models.JSONField(default=list)
    """The same as the chain has them, by which a change shows."""
    beneficiary = AddressField(blank=True, default="")
    new_worker = models.CharField(max_length=128, blank=True, default="")
    """The worker that was asked for and is not confirmed yet, as f0; empty if there is none."""
    new_worker_epoch = models.BigIntegerField(null=True)
    """From when on it can be confirmed."""
    peer_id = models.CharField(max_length=128, blank=True)

    seal_proof = models.SmallIntegerField()
    """RegisteredSealProof of new sectors."""
    post_proof = models.SmallIntegerField()
    """RegisteredPoStProof of its deadlines."""
    sector_size = models.BigIntegerField()
    partition_sectors = models.IntegerField(default=0)
    """Most sectors in one partition."""

    raw_power = models.BigIntegerField(default=0)
    qa_power = models.BigIntegerField(default=0)
    has_min_power = models.BooleanField(default=False)
    balance = AttoFilField(default=0)
    available = AttoFilField(default=0)
    """May be negative: a miner in debt."""
    locked = AttoFilField(default=0)
    """Vesting rewards and the creation deposit."""
    pledge = AttoFilField(default=0)
    deposits = AttoFilField(default=0)
    fee_debt = AttoFilField(default=0)
    live_sectors = models.BigIntegerField(default=0)
    active_sectors = models.BigIntegerField(default=0)
    faulty_sectors = models.BigIntegerField(default=0)
    unlisted_sectors = models.BigIntegerField(default=0)
    """Live ones that the pool had no row for when it last compared all of them, once a proving period."""

    proving_period_start = models.BigIntegerField(null=True)
    current_deadline = models.IntegerField(default=0)
    refreshed_height = models.BigIntegerField(default=-1)
    """The head at which the chain said all this."""

    works_from = models.BigIntegerField(null=True)
    """The pool proves its windows that open at this height or later, and makes its blocks from there on."""
    works_until = models.BigIntegerField(null=True)
    """From this height on another program does both; 0: another program proves it, without an end yet."""

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.address or self.name or f"miner {self.pk}"

    def works_at(self, height: int) -> bool:
        """Return whether the pool proves a window that opens at this height, and makes a block of it."""
        is_started = self.works_from is None or height >= self.works_from
        return is_started and (self.works_until is None or height < self.works_until)

    @property
    def is_held(self) -> bool:
        """Return whether another program has it, and nobody has said yet from which height the pool does."""
        return self.works_until == 0

    @property
    def address(self) -> str:
        """The ID address, empty while there is none."""
        return "" if self.actor_id is None else f"f0{self.actor_id}"

    @property
    def names(self) -> list[str]:
        """The addresses by which messages reach it; none while there is no actor."""
        return [name for name in (self.address, str(self.robust)) if name]


class MinerAddress(models.Model):
    """Which address a miner's people want used for what; without a row the worker is used."""

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="uses")
    use = models.CharField(max_length=16, choices=Use.choices)
    address = AddressField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["miner", "use", "address"], name="one_row_per_miner_use_and_address"
            )
        ]
        ordering: ClassVar[list[str]] = ["pk"]  # senders are tried in the order in which they were named

    def __str__(self) -> str:
        return f"{self.miner} {self.use}: {self.address}"

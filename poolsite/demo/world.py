"""Values that all made-up rows share: their moment and epoch, chance by a fixed seed, addresses."""

from __future__ import annotations

import math
import random
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, TypeVar

from django.db import models
from django.db.models import Model

from apps.chain.models import Node
from apps.messages.models import Message
from apps.miners.models import Miner
from apps.sectors.models import Sector, Store, Worker
from apps.users.models import Tenant
from apps.wallets.models import Wallet
from poolsite.filecoin.address import bls_address, secp256k1_address
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.cids import cid_of_cbor
from poolsite.filecoin.policy import MADE_UP
from poolsite.filecoin.sector import RegisteredPoStProof, RegisteredSealProof
from poolsite.filecoin.sizes import GIB

HEIGHT: Final = 5_412_345
"""Epoch of the newest head."""
SECTOR_BYTES: Final = 32 * GIB
VERIFIED_FACTOR: Final = 10
PLEDGE: Final = 145 * FIL // 1000
"""Initial pledge of a sector of committed capacity."""
DEPOSIT: Final = 44 * FIL // 1000
WIN_REWARD: Final = 4 * FIL // 10
"""Reward of one win."""
NETWORK_POWER: Final = 100 << 50
"""Quality-adjusted bytes of the whole network."""
CIRCULATING: Final = 1_200_000 * FIL
SEAL_PROOF: Final = RegisteredSealProof.STACKED_DRG_32GIB_V1_1
POST_PROOF: Final = RegisteredPoStProof.WINDOW_32GIB_V1_1
EPOCH_S: Final = MADE_UP.epoch_s
DAY_EPOCHS: Final = 86_400 // EPOCH_S
SEED: Final = 20_201_015
ONLY: Final = 1
"""Key of a table's only row: a start that was killed has used up keys, and the pool looks for this one."""

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is made up."""

    tenants: int = 8
    miners: int = 40
    sectors: int = 3_000
    wallets: int = 60
    days: int = 90
    hours: int = 35 * 24
    """Hours of history by the hour."""
    round_hours: int = 24
    """Hours whose rounds are kept one by one."""


SMALL: Final = Scale(tenants=2, miners=3, sectors=120, wallets=8, days=20, hours=48, round_hours=1)
"""For tests: a bit of everything."""


@dataclass(slots=True)
class World:
    """The rows made up so far, and the moment that counts as now."""

    now: datetime
    scale: Scale
    chance: random.Random
    tenants: list[Tenant] = field(default_factory=list)
    owners: dict[int, Wallet] = field(default_factory=dict)
    """Wallet that owns a tenant's miners, by the tenant's pk."""
    controls: dict[int, Wallet] = field(default_factory=dict)
    workers: dict[int, Wallet] = field(default_factory=dict)
    """Worker's wallet by the miner's pk."""
    wallets: list[Wallet] = field(default_factory=list)
    miners: list[Miner] = field(default_factory=list)
    hosts: list[Worker] = field(default_factory=list)
    provers: list[Worker] = field(default_factory=list)
    stores: list[Store] = field(default_factory=list)
    sectors: list[Sector] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    """Those that landed, in the order of their landing once `messages_write` is through."""
    nodes: list[Node] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 1 << 40)))

    first_day: date = field(init=False)
    """The first UTC day that is told of."""
    days: list[date] = field(init=False)
    """Every UTC day that is told of, oldest first, today included."""

    def __post_init__(self) -> None:
        """List the days once: they are asked for at each hour of each thing."""
        self.first_day = (self.now - timedelta(days=self.scale.days)).date()
        self.days = [self.first_day + timedelta(days=place) for place in range(self.scale.days + 1)]

    def uuid(self) -> uuid.UUID:
        """Return a UUID by the seed."""
        return uuid.UUID(int=self.chance.getrandbits(128), version=4)

    def height_at(self, at: datetime) -> int:
        """Return the epoch of a moment."""
        return HEIGHT - math.ceil((self.now - at).total_seconds() / EPOCH_S)

    def time_of(self, height: int) -> datetime:
        """Return when an epoch began."""
        return self.now - timedelta(seconds=(HEIGHT - height) * EPOCH_S)

    def address_bls(self) -> str:
        """Return the address of a BLS key that nobody has."""
        return str(bls_address((1 << 200 | next(self.numbers)).to_bytes(48, "big")))

    def address_secp(self) -> str:
        """Return the address of a secp256k1 key that nobody has."""
        return str(secp256k1_address(b"\x04" + (1 << 200 | next(self.numbers)).to_bytes(64, "big")))

    def base_fee(self, at: datetime) -> int:
        """Return the base fee of a moment in attoFIL per gas: a daily tide, and some busy days."""
        hours = at.timestamp() / 3600
        tide = 1 + 0.35 * math.sin(hours / 24 * 2 * math.pi) + 0.2 * math.sin(hours / 7.3)
        busy = 1 + 6 * math.exp(-(((hours / 24 + 4) % 17 - 8) ** 2) * 3)
        return int(60_000_000 * max(tide, 0.2) * busy)


def cid(text: str) -> str:
    """Return a CID that belongs to `text` alone."""
    return str(cid_of_cbor(text.encode()))


def midnight(day: date) -> datetime:
    """Return when a UTC day begins."""
    return datetime.combine(day, time(), tzinfo=UTC)


def rows_write(model: type[Row], rows: Iterable[Row]) -> list[Row]:
    """Write rows, some thousand at a time."""
    return list(model._default_manager.bulk_create(list(rows), batch_size=2_000))


def times_set(model: type[Model], rows: Sequence[Any], *names: str) -> None:
    """Write columns that a row gets from the clock when it is made."""
    model._default_manager.bulk_update(rows, names, batch_size=1_000)


class TimesGiven:
    """Keeps the times that rows are given, in columns that are set to the clock otherwise."""

    def __init__(self, *models_of: type[Model]) -> None:
        self.fields: list[Any] = [
            one
            for model in models_of
            for one in model._meta.get_fields()
            if isinstance(one, models.DateTimeField) and (one.auto_now or one.auto_now_add)
        ]
        self.before = [(one.auto_now, one.auto_now_add) for one in self.fields]

    def __enter__(self) -> None:
        for one in self.fields:
            one.auto_now = one.auto_now_add = False

    def __exit__(self, *_about: object) -> None:
        for one, (now, add) in zip(self.fields, self.before, strict=True):
            one.auto_now, one.auto_now_add = now, add

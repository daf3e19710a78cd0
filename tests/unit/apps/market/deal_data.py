"""Deals and their data, for tests of how these come."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

from apps.core import clock
from apps.market.models import Deal
from apps.market.rules import Place
from apps.market.services.follow import deals_advance, deals_join
from apps.market.services.transfers import (
    client_principal_make,
    deal_upload,
)
from apps.market.states import DealSource
from apps.miners.models import Miner
from apps.users.rules.encryption import text_encrypt
from tests import factories
from tests.mk20 import sized

DATA = bytes(number % 251 for number in range(1500))


def deal(of: Miner, data: bytes = DATA, *, places: tuple[Place, ...] = (), **changes: Any) -> Deal:
    values = {
        "source": DealSource.HTTP if places else DealSource.PUT,
        "places": text_encrypt(json.dumps([[one.url, one.headers] for one in places])),
    }
    return factories.deal(of, sized(data), **(values | changes))


def go_on(deal: Deal, *, height: int = 1000, **later: int) -> Deal:
    deals_join()
    deals_advance(height=height, now=clock.now() + timedelta(**later))
    deal.refresh_from_db()
    return deal


def upload(one: Deal, data: bytes = DATA) -> None:
    deal_upload(one, source=io.BytesIO(data), by=client_principal_make(one))

"""Two who ask for a miner's sector numbers at the same moment, each on a connection of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apps.sectors.models import SectorNumbers
from apps.sectors.services.numbers import numbers_allocate
from apps.sectors.services.reservations import sectorid_export
from apps.users.models import AuditEntry
from tests import factories, people
from tests.unit.apps.sectors.sealing import NOON

pytestmark = pytest.mark.django_db(transaction=True)


def test_numbers_exported_twice_at_once_are_one_export(beside: Callable[..., list[Any]]) -> None:
    miner, by = factories.miner(), people.principal()
    numbers_allocate(miner, count=3, now=NOON, allocated=[])

    def export() -> int:
        return sectorid_export(miner, principal=by, now=NOON)

    first, second, _ = beside(export, "apps.sectors.services.reservations.audit_record", export)

    assert first == second == SectorNumbers.objects.get().next_number
    assert AuditEntry.objects.filter(action="sector.numbers-export").count() == 1

"""Settings in the audit log have their units by their names."""

from __future__ import annotations

import pytest

from apps.core.units import value_with_unit
from apps.messages.services.fee_rules import FEE_FIELDS
from apps.proving.rules.policy import LIMITS as PROVING
from apps.sectors.rules.policy import BASE_FEES
from apps.sectors.rules.policy import LIMITS as SEALING

TARGETS = ("in_work", "day_bytes", "power_max", "base_fee_max", "balance_min")


@pytest.mark.parametrize("name", [*SEALING, *PROVING, *BASE_FEES.values(), *FEE_FIELDS, *TARGETS, "quota"])
def test_every_number_that_is_set_has_a_unit(name: str) -> None:
    assert not str(value_with_unit(name, 7)).isdecimal()

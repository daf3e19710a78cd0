"""Sizes in forms: what is written is read as the same, so saving a form unchanged changes nothing."""

from __future__ import annotations

import pytest

from apps.api.v1.miner_targets import BYTES_MOST
from apps.dashboard.number_fields import SIZE_MAX, Size
from apps.dashboard.pages.miners.targets import TargetForm

SIZES = {
    "1 B": 1,
    "500 GiB": 500 << 30,
    "1.5 TiB": 3 << 39,
    "3.125 TiB": 100 << 35,
    "1025 MiB": (1 << 30) + (1 << 20),
    "4096 PiB": SIZE_MAX,
    "4611686018427387903 B": SIZE_MAX - 1,
    "3.1 TiB": int(3.1 * (1 << 40)),
}


@pytest.mark.parametrize(("text", "size"), SIZES.items())
def test_size_is_written_as_it_is_read(text: str, size: int) -> None:
    field = Size()

    assert field.prepare_value(size) == text
    assert field.clean(text) == size


@pytest.mark.parametrize("power_max", [(10 << 50) + (1 << 35), BYTES_MOST])
def test_target_that_is_saved_unchanged_stays(power_max: int) -> None:
    kept = {"day_bytes": 100 << 35, "power_max": power_max}
    shown = TargetForm(initial=kept).typed

    form = TargetForm(shown)

    assert form.is_valid()
    assert {name: form.values()[name] for name in kept} == kept
    assert TargetForm({"act": "set"}).is_valid()

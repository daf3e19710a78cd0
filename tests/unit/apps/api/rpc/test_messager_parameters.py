"""What the messager's calls may bring is refused by name, never by a panic."""

from __future__ import annotations

import pytest

from apps.api.rpc.services.messager.json_values import factor
from poolsite.wire.jsonrpc.parameters import BadParam


@pytest.mark.parametrize("value", [10**400, -(10**400), "1.5", True, None, []])
def test_what_is_no_float64_is_refused(value):
    with pytest.raises(BadParam):
        factor(value)


@pytest.mark.parametrize("value", [0, 1, 1.25, -3])
def test_numbers_are_read(value):
    assert factor(value) == value

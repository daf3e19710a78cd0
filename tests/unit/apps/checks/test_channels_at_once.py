"""Two operators who add an alert channel at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apps.checks.models import AlertChannel
from apps.core.errors import Conflict
from tests.alerts import channel

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_name_that_two_give_at_once_is_one_channel(beside: Callable[..., list[Any]]) -> None:
    first, refused, has_waited = beside(
        lambda: channel("ops"), "apps.checks.services.channels.audit_record", lambda: channel("ops")
    )

    assert has_waited
    assert isinstance(refused, Conflict)
    assert refused.field == "name"
    assert AlertChannel.objects.get() == first

"""Two operators who add an alert channel at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apps.checks.models import AlertChannel
from apps.checks.services.channels import ChannelSpec, channel_add
from apps.checks.states import ChannelKind
from apps.core.errors import Conflict
from apps.users.rules.principals import SYSTEM
from apps.users.services.audit import audit_record
from tests import people
from tests.alerts import SECRET_URL, channel

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_name_that_two_give_at_once_is_one_channel(beside: Callable[..., list[Any]]) -> None:
    first, refused, has_waited = beside(
        lambda: channel("ops"), "apps.checks.services.channels.audit_record", lambda: channel("ops")
    )

    assert has_waited
    assert isinstance(refused, Conflict)
    assert refused.field == "name"
    assert AlertChannel.objects.get() == first


def test_channel_added_while_its_tenant_acts_ends_in_no_deadlock(beside: Callable[..., list[Any]]) -> None:
    """A line of the audit log refers to the tenant, and whoever writes one waits for who wrote the last."""
    by, tenant = people.principal(), people.tenant()
    spec = ChannelSpec(name="ops", kind=ChannelKind.WEBHOOK, target=SECRET_URL)

    made, *_ = beside(
        lambda: channel_add(spec, principal=SYSTEM, tenant=tenant),
        "apps.checks.services.channels.target_read",
        lambda: audit_record(principal=by, action="test", target="", before={}, after={}),
    )

    assert AlertChannel.objects.get() == made

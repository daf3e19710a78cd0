"""What a connection counts as a failure: requests that brought nothing, not answers that say no."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import pytest

from apps.gateway.errors import ProviderRefused
from apps.gateway.providers.provider import Provider
from apps.users.rules.principals import SYSTEM
from poolsite.wire.origins import IDS_METHOD
from poolsite.wire.policy import POLICY_READ, POLICY_VERSION
from poolsite.wire.unable import UNABLE_TEXTS


@pytest.mark.parametrize(
    ("method", "error", "failures"),
    [
        ("WalletSign", "cannot sign", 1),
        (POLICY_VERSION, "version 9 does not exist", 0),
        (POLICY_READ, "unexpect type PolicyRead", 0),  # a venus-wallet
        (IDS_METHOD, "unexpect type", 0),
        (POLICY_READ, min(UNABLE_TEXTS), 1),
    ],
)
async def test_a_question_that_is_answered_no_is_no_failure(method, error, failures):
    provider = Provider(cast("Any", None), SYSTEM)
    asking = asyncio.create_task(provider.request(method, None, time.time() + 5))
    event = cast("dict[str, Any]", await provider.queue.get())

    provider.respond({"id": event["Id"], "error": error})

    with pytest.raises(ProviderRefused, match=error):
        await asking
    assert provider.meter.failures == failures

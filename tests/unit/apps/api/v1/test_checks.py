"""Checks over REST: what each found, and nothing of another tenant."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.chain.models import Node
from apps.chain.states import NodeCondition
from apps.checks.table.checks import CHECKS
from apps.core.clock import now
from apps.users.services.tokens import TokenLimits
from tests import factories
from tests.people import bearer, operator_token, token

pytestmark = pytest.mark.django_db


def checks_of(client: Client, by: str) -> dict[str, Any]:
    """The answer for this token."""
    answer = client.get("/api/v1/checks", headers=bearer(by))
    assert answer.status_code == 200, answer.content
    body: dict[str, Any] = answer.json()
    return body


def failed(body: dict[str, Any]) -> dict[str, list[str]]:
    """What failed checks say, by name."""
    return {
        row["name"]: [one["say"] for one in row["findings"]] for row in body["checks"] if not row["passed"]
    }


def test_every_check_with_findings_and_amounts(client: Client) -> None:
    factories.network(params={"NetworkName": factories.NETWORK, "BlockDelaySecs": 30})
    factories.head(1000)
    factories.miner(3001, fee_debt=5 * 10**18)

    body = checks_of(client, operator_token())

    assert [row["name"] for row in body["checks"]] == [check.name for check in CHECKS]
    [debt] = [row for row in body["checks"] if row["name"] == "fee_debt"]
    assert (debt["severity"], debt["count"], debt["passed"]) == ("critical", 1, False)
    [finding] = debt["findings"]
    assert (finding["at_risk"], finding["page"]) == (str(5 * 10**18), "/miners/f03001/")
    assert int(body["at_risk"]) >= 5 * 10**18
    assert (finding["is_part"], body["unpriced"]) == (False, 0)


def test_tenant_sees_findings_of_its_own_objects_alone(client: Client) -> None:
    factories.network(params={"NetworkName": factories.NETWORK, "BlockDelaySecs": 30})
    factories.head(1000)
    factories.worker("gone", of="bob", seen_at=now() - timedelta(hours=1))
    factories.miner(3001, of="bob", fee_debt=10**18)
    factories.miner(3002, fee_debt=10**18)
    Node.objects.create(
        url="http://one", name="one", condition=NodeCondition.WRONG_NETWORK, error="secret place"
    )

    body = checks_of(client, token())

    assert set(failed(body)) == {"nodes_unreadable", "fee_debt"}
    assert "secret place" not in str(body)
    assert len(failed(body)["fee_debt"]) == 1
    assert not {row["name"] for row in body["checks"]} & {
        check.name for check in CHECKS if check.operator_only
    }
    assert set(failed(checks_of(client, token(of="bob")))) == {"nodes_unreadable", "fee_debt", "hosts_away"}


def test_token_limited_to_a_miner_sees_that_miners_findings(client: Client) -> None:
    factories.network(params={"NetworkName": factories.NETWORK, "BlockDelaySecs": 30})
    factories.head(1000)
    factories.miner(3001, fee_debt=10**18)
    factories.miner(3002, fee_debt=10**18)

    body = checks_of(client, token(limits=TokenLimits(miners=(3002,))))

    [debt] = [row for row in body["checks"] if row["name"] == "fee_debt"]
    assert [one["page"] for one in debt["findings"]] == ["/miners/f03002/"]

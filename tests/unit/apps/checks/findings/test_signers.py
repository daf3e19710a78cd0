"""What the checks say of signers."""

from __future__ import annotations

import pytest

from apps.blocks.models import F3Lease
from apps.checks.report.evaluate import evaluate_some
from apps.checks.selectors.data import CheckData
from apps.core.clock import now
from apps.users.rules.principals import SYSTEM
from poolsite.wire.proposals import NO_VOTES
from tests import factories

pytestmark = pytest.mark.django_db


def test_all_miners_of_a_worker_are_named_whose_votes_no_rule_allows() -> None:
    factories.signer_connection(factories.bls(7), policy_advice=[NO_VOTES])
    miners = [factories.miner(worker=factories.bls(worker)) for worker in (7, 7, 8)]
    for miner in miners:
        ends = {"ends": 6, "instance": 3, "renewed_at": now(), "looked_at": now()}
        F3Lease.objects.create(miner=miner, **ends)

    [result] = evaluate_some(["policies_advised"], CheckData(SYSTEM)).results
    [finding] = result.findings

    named = [miner.name in finding.reason for miner in miners]
    assert named == [True, True, False], finding.reason

"""What the checks say of signers."""

from __future__ import annotations

import pytest

from apps.blocks.models import F3Lease
from apps.checks.report.evaluate import evaluate_some
from apps.checks.selectors.data import CheckData
from apps.core.clock import now
from apps.market.services.markets import market_set
from apps.market.states import DealDoor, DealState
from apps.users.rules.principals import SYSTEM
from poolsite.wire.proposals import NO_PUBLISHING, NO_VOTES
from tests import factories, people
from tests.mk20 import sized

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


def test_miners_are_named_whose_deals_no_rule_publishes() -> None:
    factories.signer_connection(factories.bls(7), policy_advice=[NO_VOTES, NO_PUBLISHING])
    door, waits, web, elsewhere = [factories.miner(worker=factories.bls(worker)) for worker in (7, 7, 7, 8)]
    for miner in (door, elsewhere):
        port = 24_000 + miner.pk
        market_set(miner, values={"takes_libp2p": True, "libp2p_port": port}, by=people.principal())
    for miner, interface in ((waits, DealDoor.MK12), (web, DealDoor.MK20)):
        market_set(miner, values={"is_open": True}, by=people.principal())
        factories.deal(miner, sized(b"data" * 40), door=interface, state=DealState.UNPUBLISHED)

    [result] = evaluate_some(["policies_advised"], CheckData(SYSTEM)).results
    [finding] = result.findings

    assert finding.reason.startswith("no rule allows publishing, or settling, the deals of")
    named = [miner.name in finding.reason for miner in (door, waits, web, elsewhere)]
    assert named == [True, True, False, False], finding.reason


def test_nothing_is_said_of_publishing_without_deals_to_publish() -> None:
    factories.signer_connection(factories.bls(7), policy_advice=[NO_PUBLISHING])
    market_set(factories.miner(worker=factories.bls(7)), values={"is_open": True}, by=people.principal())

    [result] = evaluate_some(["policies_advised"], CheckData(SYSTEM)).results

    assert not result.findings

"""The page Blocks: strips, luck, wins with their reasons, a win's timeline; mining on and off."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.urls import reverse

from apps.blocks.models import Block, F3Lease, MiningDay, Round
from apps.blocks.selectors.finality import F3_STATUS_KEY, F3Participation
from apps.blocks.services.finality_status import f3_status_read
from apps.blocks.states import RoundState
from apps.chain.errors import NodeRefused
from apps.chain.models import Node
from apps.chain.states import NodeCondition
from apps.core.clock import now
from apps.dashboard.live_fragments import fragments_render
from apps.miners.models import Miner
from apps.users.models import MinerGrant
from apps.users.services.grants import miner_grant
from tests import factories, people
from tests.page_client import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def won():
    people.person("ann")
    factories.head(20)
    miner = factories.miner(2001, name="north", qa_power=2048)
    miner_grant(tenant=people.tenant("alice"), actor_id=2001)
    common = {"miner": miner, "base_height": 9, "at": now(), "expected": 0.25}
    Round.objects.create(epoch=10, state=RoundState.NO_WIN, **common)
    Round.objects.create(
        epoch=11, state=RoundState.PROOF_TIMEOUT, win_count=1, reason="no answer in time", **common
    )
    row = Round.objects.create(
        epoch=12,
        state=RoundState.INCLUDED,
        win_count=1,
        sector=3,
        steps=[["base_info", 800, 12], ["proof", 830, 95], ["wait", 1000, 900], ["submit", 2000, 40]],
        budget_ms=2800,
        **common,
    )
    Block.objects.create(
        actor_id=2001,
        height=12,
        parents=bytes(32),
        unsigned=b"",
        cid=factories.cid("block"),
        round=row,
        reward=4 * 10**18,
        penalty=0,
    )
    return row


def test_the_page_shows_rounds_luck_and_wins(won):
    text = signed_in("ann").get("/blocks/").content.decode()

    assert "1 block included, 1 win lost." in text
    assert "4.0000 FIL earned in 24 hours; 3.0000 FIL of it vests over 6 days." in text, (
        "epochs of one second"
    )
    assert "epoch 11: no proof in time: no answer in time" in text
    assert "epoch 10: no win" in text
    assert "2 wins, 0.8 expected" in text
    assert "125 ms" in text, "the wait for the block's time is not counted"


def test_the_charts_show_luck_rewards_and_what_vests(won):
    MiningDay.objects.create(miner=won.miner, day=now().date() - timedelta(days=2), expected=1.25)
    text = signed_in("ann").get("/blocks/").content.decode()

    assert "wins 2 · expected 2.0" in text
    assert "50 % of pools with this power have 1 to 3 wins, 90 % 0 to 5." in text
    assert "4.0000 FIL in 30 days, including tips, minus penalties." in text
    assert re.search(r"locked (3\.0000|2\.[5-9]\d+) FIL</p>", text), "what is locked now"


def test_a_pool_without_rounds_says_when_its_charts_start():
    people.person("ann")
    text = signed_in("ann").get("/blocks/").content.decode()

    assert "The chart starts with the first round of a miner with power." in text
    assert text.count("Nothing is known of this time.") == 3


def test_the_operator_sees_what_each_node_does_for_f3(won):
    node = Node.objects.create(url="http://one", name="one", condition=NodeCondition.HEALTHY)
    said = {
        str(node): F3Participation(is_running=True, instance=77, miners=(2001, 5)),
        "old": F3Participation(is_running=False, reason="this node does not run F3"),
    }
    cache.set(F3_STATUS_KEY, said, 60)
    people.operator_person()
    text = signed_in("olga").get("/blocks/").content.decode()

    assert "running, instance 77; participates for north" in text
    assert "this node does not run F3" in text
    assert "Fast finality" not in signed_in("ann").get("/blocks/").content.decode()
    cache.clear()


def test_whoever_sees_a_miner_sees_its_lease_in_f3(won):
    lease = F3Lease.objects.create(miner=won.miner, ticket="dA==", from_instance=70, ends=82, instance=79)
    F3Lease.objects.update(renewed_at=now(), looked_at=now())
    text = signed_in("ann").get("/blocks/").content.decode()
    assert "a node votes for it until instance 82, currently 79" in text

    F3Lease.objects.filter(pk=lease.pk).update(instance=90, reason="not yet ready", failing_since=now())
    text = signed_in("ann").get("/blocks/").content.decode()
    assert "no node votes for it: not yet ready" in text

    cache.set(F3_STATUS_KEY, {"http://one": F3Participation(is_running=False)}, 60)
    F3Lease.objects.filter(pk=lease.pk).update(instance=79, reason="", failing_since=None)
    text = signed_in("ann").get("/blocks/").content.decode()
    assert "a node will vote for it until instance 82, once it runs F3" in text
    cache.clear()
    F3Lease.objects.update(reason="not yet ready", failing_since=now())

    F3Lease.objects.update(instance=79, looked_at=now() - timedelta(minutes=3))
    text = signed_in("ann").get("/blocks/").content.decode()
    assert "unknown whether a node votes for it: not yet ready" in text

    F3Lease.objects.update(instance=79, restored_at=now(), restored_until=86, reason="was restored")
    text = signed_in("ann").get("/blocks/").content.decode()
    assert "waiting for instance 86 to end, currently 79: was restored" in text
    F3Lease.objects.update(restored_at=None)

    F3Lease.objects.update(reason="no blocks are made for this miner", failing_since=None)
    text = signed_in("ann").get("/blocks/").content.decode()
    assert "no lease is requested: no blocks are made for this miner" in text


def test_leases_in_f3_change_without_a_reload(won):
    def pushed(tenant):
        viewer = people.principal(tenant)
        return fragments_render({("f3", str(won.miner.uuid))}, viewer=viewer, page="blocks")

    assert 'id="f-finality" hidden' in signed_in("ann").get("/blocks/").content.decode()
    F3Lease.objects.create(miner=won.miner, from_instance=70, ends=82, instance=79)
    F3Lease.objects.update(renewed_at=now(), looked_at=now())

    assert "a node votes for it until instance 82, currently 79" in pushed("alice")
    assert re.search(r'id="f-finality"[^>]*hx-swap-oob="true"', pushed("alice"))
    assert "instance 82" not in pushed("bob")


class Link:
    """A node that answers these methods; each of them by a value or an error."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def call(self, method: str, params: list[Any], *, timeout_s: float) -> Any:
        answer = self.answers[method]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (
            {
                "F3IsRunning": True,
                "F3GetProgress": {"ID": 7},
                "F3ListParticipants": [{"MinerID": 9}],
                "F3GetLatestCertificate": {"GPBFTInstance": 6, "ECChain": [{"Epoch": 11}, {"Epoch": 12}]},
            },
            F3Participation(is_running=True, instance=7, miners=(9,), finalized=12),
        ),
        (
            {
                "F3IsRunning": True,
                "F3GetProgress": {"ID": 7},
                "F3ListParticipants": [],
                "F3GetLatestCertificate": NodeRefused(-32601, "method not found"),
            },
            F3Participation(is_running=True, instance=7),
        ),
        ({"F3IsRunning": False}, F3Participation(is_running=False)),
        (
            {"F3IsRunning": NodeRefused(-32601, "method 'Filecoin.F3IsRunning' not found")},
            F3Participation(is_running=False, reason="this node does not run F3"),
        ),
        (
            {"F3IsRunning": True, "F3GetProgress": {}, "F3ListParticipants": []},
            F3Participation(is_running=False, reason="the node's response could not be parsed"),
        ),
    ],
)
def test_a_nodes_part_in_f3_is_read(answers, said):
    assert f3_status_read(Link(**answers)) == said  # type: ignore[arg-type]


def test_a_wins_timeline_names_each_step_with_its_milliseconds(won):
    text = signed_in("ann").get(reverse("block-round", args=[won.uuid])).content.decode()

    assert "WinningPoSt: starts at 830 ms, takes 95 ms" in text
    assert factories.cid("block") in text
    people.person("bea", of="bob")
    assert signed_in("bea").get(reverse("block-round", args=[won.uuid])).status_code == 404


def test_mining_is_stopped_and_started(won):
    ann, href = signed_in("ann"), reverse("blocks-mining", args=[won.miner.uuid])

    assert ann.post(href, {"on": "0"}).status_code == 302
    assert not MinerGrant.objects.get(actor_id=2001).open_mining
    assert "Start" in ann.get("/blocks/").content.decode()
    assert ann.post(href, {"on": "1"}).status_code == 302
    assert MinerGrant.objects.get(actor_id=2001).open_mining
    people.person("bea", of="bob")
    assert signed_in("bea").post(href, {"on": "0"}).status_code == 404


def test_a_miner_without_power_is_started_and_one_elsewhere_is_not(won):
    ann, href = signed_in("ann"), reverse("blocks-mining", args=[won.miner.uuid])
    MinerGrant.objects.update(open_mining=False)
    Miner.objects.update(qa_power=0, works_from=1)
    text = ann.get("/blocks/").content.decode()
    assert "1 other miner" in text
    assert f'hx-post="{href}"' in text
    assert ann.post(href, {"on": "1"}).status_code == 302
    assert "its first sector is not proven yet" in ann.get("/blocks/").content.decode()

    MinerGrant.objects.update(open_mining=False)
    Miner.objects.update(works_until=0)
    assert f'hx-post="{href}"' not in ann.get("/blocks/").content.decode()
    answer = ann.post(href, {"on": "1"}, follow=True).content.decode()
    assert "another program makes its blocks at this height: if both did" in answer
    assert not MinerGrant.objects.get(actor_id=2001).open_mining


def test_without_power_the_page_says_what_is_needed():
    people.person("ann")

    assert "No miner has power yet" in signed_in("ann").get("/blocks/").content.decode()

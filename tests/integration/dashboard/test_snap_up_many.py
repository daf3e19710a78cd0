"""Waiting pieces into several committed sectors at once: by the service, REST and the page."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from django.test import Client
from django.urls import reverse

from apps.core.errors import BadValue
from apps.miners.models import Miner
from apps.pieces.models import Piece
from apps.sectors.models import PipelineRun, Sector
from apps.sectors.rules.policy import SealingPolicy
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.runs.snap_up_many import SNAP_UPS_MAX, snap_ups_plan
from apps.sectors.services.runs.snap_up_prices import pledge_margin_add
from apps.users.models import AuditEntry
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.policy import network_by_name
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.wire.jobs import JobKind
from tests import factories, people
from tests.integration.dashboard.withdrawals import signer_says
from tests.page_client import signed_in, text_of
from tests.unit.apps.sectors.sealing import NOON

pytestmark = pytest.mark.django_db

HEIGHT = 1_000
WHERE = ("apps.api.v1.sectors_snap_up", "apps.dashboard.pages.sectors.snap_ups")


class Chain:
    """A chain that asks 1,000 attoFIL for a pledge."""

    def call(self, method: str, *_params: Any) -> Any:
        """Return the pledge of a sector."""
        assert method == "StateMinerInitialPledgeForSector"
        return "1000"

    def call_many(self, calls: Any) -> list[Any]:
        """Return a miner's funds, of which none is free."""
        assert [method for method, _ in calls] == ["StateReadState"]
        held = dict.fromkeys(("LockedFunds", "PreCommitDeposits", "InitialPledge", "FeeDebt"), "0")
        return [{"Balance": "0", "State": held}]


@pytest.fixture
def miner(monkeypatch: pytest.MonkeyPatch) -> Miner:
    """A miner whose host takes snap-ups, and the chain of both interfaces."""
    of = factories.miner(2001)
    host = factories.worker("sealer-1", kinds=[JobKind.SEAL, JobKind.SNAP_UP])
    factories.store(host, "store")
    for module in WHERE:
        monkeypatch.setattr(f"{module}.sealing_context_read", context)
    return of


def context(**_: object) -> SealingContext:
    """What a pass works with."""
    return SealingContext(
        client=cast("Any", Chain()),
        network=network_by_name("localnet-poolsite-test"),
        head=factories.head(HEIGHT),
        now=NOON,
        policy=SealingPolicy(),
    )


def committed(of: Miner, number: int, **data: Any) -> Sector:
    """A proving sector of zeros."""
    zeros = {"comm_d": sha254_zero(of.sector_size), "comm_r": bytes(32), "ticket": bytes(32)}
    facts = {"state": "PROVING", "active": True, "expiration": 9_999, "initial_pledge": 1, "store": "store"}
    return factories.sector(of, number=number, **{**facts, **zeros, **data})


def asked(sectors: list[Sector], *, query: str = "", **headers: str) -> list[dict[str, Any]]:
    """The answer over REST."""
    body = json.dumps({"sectors": [str(one.uuid) for one in sectors]})
    answer = Client().post(
        f"/api/v1/sectors:snap-up{query}",
        body,
        content_type="application/json",
        headers={**people.bearer(people.token("sign", of="alice")), **headers},
    )
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["sectors"]
    return found


def test_waiting_pieces_go_into_the_sectors_in_their_order(miner: Miner) -> None:
    pieces = [factories.stored_piece(miner, padded_size=2048) for _ in range(2)]
    sectors = [committed(miner, number) for number in (5, 6, 7)]
    sectors.insert(1, committed(miner, 8, active=False))

    plan = asked(sectors, query="?dry_run=true")

    assert [one["number"] for one in plan if not one["refusal"]] == [5, 6]
    assert {one["pledge"] for one in plan if not one["refusal"]} == {"999"}
    assert {str(piece.piece_cid) for piece in pieces} == {cid for one in plan for cid in one["pieces"]}
    assert [one["refusal"] for one in plan if one["refusal"]] == [
        "it is not active on chain",
        "no piece is waiting for it",
    ]
    assert not PipelineRun.objects.exists()

    done = asked(sectors, **{"Idempotency-Key": "k"})
    again = asked(sectors, **{"Idempotency-Key": "k"})

    assert [one["run"] is not None for one in done] == [True, False, True, False]
    assert [one["run"] for one in again] == [one["run"] for one in done]
    assert PipelineRun.objects.count() == 2
    assert not Piece.objects.filter(state="READY").exists()
    lines = AuditEntry.objects.filter(action__startswith="sector.snap-up").order_by("pk")
    assert [(line.action, line.after) for line in lines] == [
        ("sector.snap-up-all", {"sectors": [5, 6, 7, 8]}),
        ("sector.snap-up-all", {"sectors": [7, 8]}),  # not begun: the second request asked for them again
    ]


def test_what_would_hold_their_messages_up_is_said_before(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.stored_piece(miner, padded_size=2048)
    factories.stored_piece(miner, padded_size=2048)
    sectors = [committed(miner, number, deadline=1, partition=0) for number in (5, 6)]
    monkeypatch.setattr("apps.dashboard.pages.sectors.runs.sealing_context_read", context)
    monkeypatch.setattr("apps.api.v1.sector_runs.sealing_context_read", context)
    seen = signer_says(monkeypatch, "no rule allows it")
    factories.approval_rule(actor="miner", method=Method.PROVE_REPLICA_UPDATES3)
    people.person("ann")
    client, ids = signed_in(), [str(one.uuid) for one in sectors]
    headers = people.bearer(people.token("sign", of="alice"))

    def told(path: str, body: dict[str, Any]) -> dict[str, str]:
        path = f"/api/v1/{path}?dry_run=true"
        answer = Client().post(path, json.dumps(body), content_type="application/json", headers=headers)
        assert answer.status_code == 200, answer.content
        return {name: answer.json()[name] for name in ("signer", "approval")}

    many, one = told("sectors:snap-up", {"sectors": ids}), told(f"sectors/{ids[0]}/snap-up", {})
    pages = [
        client.get(reverse("sectors-snap-up"), {"id": ids}),
        client.get(reverse("sector-snap-up", args=[ids[0]])),
    ]

    assert many == one
    assert "would refuse ProveReplicaUpdates3: no rule allows it" in many["signer"]
    assert many["approval"] == "miner ProveReplicaUpdates3"
    for page in pages:
        assert many["signer"] in text_of(page)
        assert "waits for a second person: miner ProveReplicaUpdates3" in text_of(page)
    each = pledge_margin_add(999, work=context())
    assert sorted(int(message.value) for _, message in seen) == [each, each, 2 * each, 2 * each]
    assert not PipelineRun.objects.exists()


def test_too_many_and_strangers_are_refused(miner: Miner) -> None:
    sector = committed(miner, 5)
    with pytest.raises(BadValue):
        snap_ups_plan([sector] * (SNAP_UPS_MAX + 1), work=context())

    for perm, of, status in (("read", "alice", 403), ("sign", "bob", 404)):
        answer = Client().post(
            "/api/v1/sectors:snap-up",
            json.dumps({"sectors": [str(sector.uuid)]}),
            content_type="application/json",
            headers=people.bearer(people.token(perm, of=of)),
        )
        assert answer.status_code == status


def test_the_page_shows_the_price_first_and_begins_then(miner: Miner, ann: None) -> None:
    factories.stored_piece(miner, padded_size=2048)
    sectors = [committed(miner, number) for number in (5, 6)]
    page, browser = reverse("sectors-snap-up"), signed_in()
    assert f'formaction="{page}"' in text_of(browser.get(reverse("sectors")))

    shown = text_of(browser.post(page, {"all": "1", "state": "", "q": ""}))

    assert "Snap up 1 sector" in shown
    assert "left out: no piece is waiting for it" in shown
    assert not PipelineRun.objects.exists()
    first = next(one for one in sectors if f'value="{one.uuid}"' in shown)
    done = browser.post(page, {"id": str(first.uuid), "sure": "yes"})
    assert done.headers["Location"] == reverse("sector", args=[first.uuid])
    assert PipelineRun.objects.get().sector == first
    again = browser.post(page, {"id": [str(one.uuid) for one in sectors], "sure": "yes"})
    assert again.status_code == 422
    assert "0 sectors started" in text_of(again)
    assert "No sectors selected" in text_of(browser.get(page))

"""The page Gateway: who sees and does what; live rows; approvals."""

from __future__ import annotations

from typing import Any

import pytest

from apps.core import clock
from apps.dashboard.live_fragments import fragments_render
from apps.gateway.errors import NoAnswer
from apps.gateway.hub.activity import Activity
from apps.gateway.models import SignerConnection
from apps.gateway.services.connection_test import ConnectionTestResult
from apps.gateway.services.connections import accounts_claim, connections_confirm
from apps.proving.errors import NothingToProve
from apps.proving.selectors.winning_post_test import trial_request
from apps.users.models import AccountApproval
from tests import demo_data, factories, people
from tests.page_client import signed_in, text_of
from tests.unit.filecoin.golden_proofs import golden

pytestmark = pytest.mark.django_db


def signer(of: str = "alice", key: int = 1) -> SignerConnection:
    return factories.signer_connection(factories.bls(key), of=of)


def test_a_tenant_sees_its_own_connections_and_the_operator_all():
    people.person()
    people.operator_person()
    mine, strange = signer(), signer("bob", 2)

    assert str(strange.pk) not in text_of(signed_in("ann").get("/gateway/"))
    text = text_of(signed_in("olga").get("/gateway/"))
    assert str(mine.pk) in text
    assert "2 signers and 0 provers connected." in text


@pytest.mark.parametrize(
    ("role", "may_test", "may_end"),
    [("TENANT_ADMIN", True, True), ("TENANT", True, False), ("AUDITOR", False, False)],
)
def test_testing_and_ending_follow_the_role(role, may_test, may_end, monkeypatch):
    monkeypatch.setattr(
        "apps.dashboard.pages.gateway.acts.signer_test", lambda _row: ConnectionTestResult(True, "signed")
    )
    monkeypatch.setattr(
        "apps.gateway.services.connection_test.connection_request", lambda *_words, **_more: None
    )
    people.person("ann", role=role)
    row, strange = signer(), signer("bob", 2)
    client = signed_in("ann")

    for op, may in (("test", may_test), ("end", may_end)):
        page = text_of(client.get("/gateway/"))
        assert (f"/gateway/{row.pk}/{op}/" in page) == may
        answer = client.post(f"/gateway/{row.pk}/{op}/", headers={"HX-Request": "true"})
        assert answer.status_code == (200 if may else 404)
        assert client.post(f"/gateway/{strange.pk}/{op}/").status_code == 404


def test_a_failed_test_is_said_in_the_row(monkeypatch):
    def ask(*_words: Any, **_more: Any) -> None:
        raise NoAnswer("channel closed")

    monkeypatch.setattr("apps.gateway.services.connection_test.connection_request", ask)
    people.person()
    row = signer()

    answer = signed_in("ann").post(f"/gateway/{row.pk}/test/", headers={"HX-Request": "true"})

    assert answer.status_code == 422
    assert "channel closed" in text_of(answer)
    assert f'id="f-connection-{row.pk}"' in text_of(answer)


@pytest.mark.parametrize(
    ("proof", "words"),
    [
        (bytes.fromhex(golden("groth16_winning_2k")["proof"]), "only its format was checked"),
        (b"of no form that a network has", "its proof is invalid: 29 bytes"),
    ],
    ids=["form", "neither"],
)
def test_a_prover_is_asked_for_a_proof_of_an_active_sector(monkeypatch, proof, words):
    asked = {}

    def ask(_row: Any, method: str, payload: Any, **_more: Any) -> list[Any]:
        asked[method] = payload
        return [{"PoStProof": 0, "ProofBytes": people.base64_text(proof)}]

    monkeypatch.setattr("apps.gateway.services.connection_test.connection_request", ask)
    people.person()
    pool = demo_data.busy_pool()
    row = factories.prover_connection(pool.miner.actor_id or 0)

    answer = signed_in("ann").post(f"/gateway/{row.pk}/test/", headers={"HX-Request": "true"})

    assert words in text_of(answer)
    assert [info["SectorNumber"] for info in asked["ComputeProof"]["SectorInfos"]] == [0]
    assert asked["ComputeProof"]["Height"] == 1000


def test_without_an_active_sector_there_is_nothing_to_prove():
    factories.head(1000)
    factories.miner(2001)

    with pytest.raises(NothingToProve):
        trial_request(people.principal(), actor_id=2001)


def test_what_a_connection_did_is_pushed_as_its_row_to_its_tenant_alone():
    row = signer()
    done = Activity(requests=7, failures=1, in_flight=2, p50_ms=12, p99_ms=40, last_failure="wallet locked")
    connections_confirm(process="web", done={str(row.pk): done}, held={}, now=clock.now())

    mine = fragments_render({("connection", str(row.pk))}, viewer=people.principal(), page="gateway")
    strange = fragments_render({("connection", str(row.pk))}, viewer=people.principal("bob"), page="gateway")

    for words in ("wallet locked", "busy", ">7<", "12 ms", 'hx-swap-oob="true"'):
        assert words in mine
    assert strange == ""


def test_whoever_comes_makes_the_table_new():
    row = signer()

    frame = fragments_render({("signer", str(row.pk))}, viewer=people.principal(), page="gateway")

    assert 'id="f-connections"' in frame
    assert "1 signer and 0 provers connected." in frame


def test_an_account_is_served_by_anothers_signers_once_its_admin_agreed():
    people.person("adam", role="TENANT_ADMIN")
    people.person("bill", of="bob", role="TENANT_ADMIN")
    accounts_claim(principal=people.principal("bob"), names=["alice"])
    wish = AccountApproval.objects.get()

    assert "request to serve" in text_of(signed_in("adam").get("/gateway/"))
    assert signed_in("bill").post(f"/gateway/approvals/{wish.pk}/approve/").status_code == 404
    signed_in("adam").post(f"/gateway/approvals/{wish.pk}/approve/")
    assert AccountApproval.objects.get().approved_at is not None
    signed_in("adam").post(f"/gateway/approvals/{wish.pk}/refuse/")
    assert not AccountApproval.objects.exists()

"""A connection that a person tries: a signature, a proof, and who is sent away with an approval."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest

from apps.core.clock import now
from apps.core.errors import BadValue
from apps.gateway.errors import NoAnswer, ProviderRefused
from apps.gateway.hub.routes import ConnectionRef
from apps.gateway.services import connection_test
from apps.gateway.states import Purpose
from apps.users.models import AccountApproval
from apps.users.services.grants import account_approve
from poolsite.devnet.presealed.sector import presealed_sector
from poolsite.filecoin.cids import cid_to_json, commr_cid
from tests import factories
from tests.people import tenant

pytestmark = pytest.mark.django_db

MINER = 2001
RANDOMNESS = bytes(range(32))


class Hub:
    """Stands where the hub carries a request to the far side; keeps who was asked for what."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.answer: Any = None
        self.gone: set[str] = set()

    def send(self, ref: ConnectionRef, method: str, payload: Any, *, timeout_s: float) -> Any:
        self.asked.append((ref.connection, method, payload))
        if ref.connection in self.gone:
            raise NoAnswer("the connection is gone")
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    hub = Hub()
    monkeypatch.setattr(connection_test, "connection_send", hub.send)
    return hub


def test_a_signer_proves_its_first_key(hub: Hub) -> None:
    address = factories.bls(1)
    row = factories.signer_connection(address)
    factories.signer_key(factories.bls(2), row)

    found = connection_test.signer_test(row)

    assert found.is_good
    assert found.text.startswith("signed in ")
    assert [(which, payload) for which, _, payload in hub.asked] == [(str(row.pk), address)]


def test_a_signer_that_refuses_or_is_gone_says_so(hub: Hub) -> None:
    row = factories.signer_connection(factories.bls(1))
    hub.answer = ProviderRefused("the policy forbids it")

    found = connection_test.signer_test(row)

    assert (found.is_good, found.text) == (False, "the policy forbids it")


def test_a_signer_without_a_key_is_asked_nothing(hub: Hub) -> None:
    row = factories.signer_connection(factories.bls(1))
    row.signer_keys.update(removed_at=now())

    found = connection_test.signer_test(row)

    assert (found.is_good, found.text, hub.asked) == (False, "it holds no key", [])


def test_who_serves_an_account_is_sent_away_with_the_approval(
    hub: Hub, django_capture_on_commit_callbacks: Any
) -> None:
    serving = [factories.signer_connection(of="alice", accounts=["alice", "bob"]) for _ in range(2)]
    factories.signer_connection(of="alice", accounts=["alice"])
    factories.signer_connection(of="alice", accounts=["bob"], seen_at=now() - timedelta(minutes=5))
    factories.signer_connection(of="alice", accounts=["bob"], closed_at=now())
    account_approve(signer_tenant=tenant("alice"), account=tenant("bob"))
    hub.gone = {str(serving[0].pk)}  # one that is gone keeps nobody else

    with django_capture_on_commit_callbacks(execute=True):
        connection_test.account_approval_revoke_and_disconnect(
            signer_tenant=tenant("alice"), account=tenant("bob")
        )

    assert {which for which, *_ in hub.asked} == {str(row.pk) for row in serving}
    assert not AccountApproval.objects.exists()


def asked_for() -> dict[str, Any]:
    """What a prover is asked for: a WinningPoSt of the shipped sector."""
    sector = presealed_sector()
    info = {"SectorNumber": sector.number, "SealedCID": cid_to_json(commr_cid(sector.comm_r))}
    return {"SectorInfos": [info], "Rand": base64.b64encode(RANDOMNESS).decode()}


def proof_of(randomness: bytes) -> list[dict[str, Any]]:
    """What a prover answers for some randomness."""
    sector = presealed_sector()
    proof = base64.b64encode(sector.winning_post(randomness)).decode()
    return [{"PoStProof": sector.winning_proof, "ProofBytes": proof}]


def test_a_provers_proof_is_verified(hub: Hub) -> None:
    hub.answer = proof_of(RANDOMNESS)

    found = connection_test.prover_test(factories.prover_connection(MINER), request=asked_for())

    assert found.is_good, found.text
    assert found.text.endswith("and it is valid")


def test_a_proof_for_something_else_does_not_hold(hub: Hub) -> None:
    hub.answer = proof_of(bytes(32))

    found = connection_test.prover_test(factories.prover_connection(MINER), request=asked_for())

    assert not found.is_good
    assert found.text.startswith("its proof is invalid: ")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([], "it returned no proof"),
        ("proof", "it returned no proof"),
        ([{"PoStProof": 5}], "its proof is invalid: 'ProofBytes'"),
        ([{"PoStProof": 5, "ProofBytes": "?"}], "its proof is invalid: "),
        (NoAnswer("no answer in time"), "no answer in time"),
    ],
)
def test_what_is_no_proof_is_named(hub: Hub, answer: Any, words: str) -> None:
    hub.answer = answer

    found = connection_test.prover_test(factories.prover_connection(MINER), request=asked_for())

    assert not found.is_good
    assert found.text.startswith(words)


def test_a_storage_is_asked_nothing(hub: Hub) -> None:
    row = factories.prover_connection(MINER, purpose=Purpose.MARKET)

    with pytest.raises(BadValue, match="without unsealing"):
        connection_test.prover_test(row, request=asked_for())

    assert hub.asked == []

"""The probability of a miss by measured times, and the preconditions that are checked before a window."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest

from apps.core.clock import now
from apps.gateway.errors import SignerAway
from apps.gateway.models import SignerConnection, SignerKey
from apps.messages.models import Sender
from apps.messages.states import SenderState
from apps.miners.models import Miner
from apps.miners.selectors.senders import sender_choose
from apps.miners.states import Use
from apps.proving.models import Deadline, ProofAttempt
from apps.proving.selectors.miss_probability import (
    Measured,
    ProofTime,
    miss_probability_estimate,
    proof_times_read,
)
from apps.proving.services.forecast import forecasts_measure
from apps.proving.services.preconditions import readiness_check, unmet_preconditions_find
from apps.proving.states import Forecast, PostState
from apps.sectors.models import Job, Worker
from apps.wallets.models import Wallet
from apps.wallets.services import policies
from poolsite.filecoin.network_params import network_to_params
from poolsite.filecoin.policy import MAINNET
from poolsite.wire.jobs import JobKind
from poolsite.wire.policy import MessageVerdict, RuleForm
from poolsite.wire.proposals import NO_PUBLISHING, NO_VOTES, PROOFS_BY_DAY
from tests import factories
from tests.unit.apps.proving.chain import OneDeadline
from tests.unit.apps.proving.rescues import CLOSE, OPEN, look, miner, post
from workers.signer.message_payloads import message_readings

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("time_stands_still")]


def times(*proofs: float, landings: tuple[int, ...] = (1,)) -> Measured:
    """Proofs of two sectors in one partition; nothing to read, epochs of one second."""
    return Measured(tuple(ProofTime(0, took, 2, 1) for took in proofs), tuple(sorted(landings)))


def probability(
    measured_times: Measured, *, height: int = OPEN, posts: Any = (), hosts: int = 1
) -> float | None:
    """Of the window from 960 to 970; the last epoch to land in is 969."""
    deadline = Deadline.objects.get()
    return miss_probability_estimate(
        deadline, posts=posts, context=look(OneDeadline(), height), times=measured_times, hosts=hosts
    )


def test_probability_is_the_share_of_pairs_that_come_too_late() -> None:
    miner()

    assert probability(Measured((), ())) is None
    assert probability(times(1, 5), height=OPEN) == 0
    assert probability(times(8, 9), height=OPEN) == 0.5, (
        "960 + 8 + 1 lands in the last epoch, 960 + 9 + 1 not"
    )
    assert probability(times(4, 8, landings=(1, 6)), height=OPEN) == 0.5


def test_times_are_scaled_by_sectors_partitions_and_turns() -> None:
    miner()
    Deadline.objects.update(live=4, partitions_count=2)
    read = Measured((ProofTime(2, 1, 1, 1),), (1,))

    assert read.proofs[0].seconds(4, 2) == 10
    assert probability(read) == 1
    assert probability(read, height=OPEN - 2) == 0, "958 + 10 + 1 is the last epoch to land in"
    assert probability(Measured((ProofTime(1, 1, 2, 1),), (1,))) == 0


def test_proof_under_way_counts_longer_times_only() -> None:
    of = miner()
    row = post(of, state=PostState.PROVING, proof=None)
    job = Job.objects.create(
        kind=JobKind.WINDOW_POST,
        state="LEASED",
        miner=of,
        stage="WINDOW_POST",
        lease_s=9,
        claimed_height=OPEN,
    )
    ProofAttempt.objects.create(post=row, kind="FIRST", job=job)

    assert probability(times(2, 12), height=OPEN + 1, posts=[row]) == 0.5
    assert probability(times(2, 12), height=OPEN + 3, posts=[row]) == 1, "it is one of the long ones"
    assert probability(times(2, 3), height=OPEN + 6, posts=[row]) == 1, "longer than all: as long again"


def test_sent_and_landed_proofs_wait_for_their_landing_alone() -> None:
    of = miner()
    row = post(of, state=PostState.SENT, sent_height=OPEN + 4)

    assert probability(times(99, landings=(1, 3, 9)), height=OPEN + 5, posts=[row]) == 0.5
    row.state = PostState.LANDED
    assert probability(times(99), posts=[row]) == 0
    row.state = PostState.MISSED
    assert probability(times(1), posts=[row]) == 1


def test_measured_are_taken_proofs_of_the_hosts_in_charge() -> None:
    of = miner()
    for host, sent in (("p", 961), ("other", 962)):
        row = post(of, part=len(host), state=PostState.LANDED, sent_height=sent, landed_height=965)
        result = {"ms": 5000, "read_ms": 2000, "sectors": 2, "worker": host}
        job = Job.objects.create(
            kind=JobKind.WINDOW_POST, state="DONE", miner=of, stage="WINDOW_POST", lease_s=9, result=result
        )
        ProofAttempt.objects.create(post=row, kind="FIRST", state="USED", job=job, host=host)

    found = proof_times_read(of.tenant_id, hosts={"p"})

    assert found.proofs == (ProofTime(2, 3, 2, 1),)
    assert found.landings == (3, 4)


# Preconditions


def ready(**data: Any) -> Miner:
    """A miner for whose proofs everything is there."""
    of = miner(**data)
    factories.worker("p", kinds=[JobKind.WINDOW_POST], stores=["store-1"])
    Deadline.objects.update(stores=["store-1"])
    factories.signer_connection(str(of.worker))
    return of


def lacking(of: Miner) -> set[str]:
    """The names of what its deadline lacks."""
    return set(
        unmet_preconditions_find(
            Deadline.objects.get(), readiness=readiness_check(of, context=look(OneDeadline()))
        )
    )


def test_nothing_is_lacking_where_all_is_there() -> None:
    assert lacking(ready()) == set()


def test_each_precondition_is_named_when_it_does_not_hold() -> None:
    of = ready()
    Deadline.objects.update(stores=["store-1", "store-2"])
    assert lacking(of) == {"store"}
    Worker.objects.update(seen_at=now() - timedelta(hours=1))
    assert lacking(of) == {"host"}
    Worker.objects.update(seen_at=now())
    Deadline.objects.update(stores=[])

    SignerKey.objects.update(removed_at=now())
    assert lacking(of) == {"signer"}
    SignerKey.objects.update(removed_at=None)

    factories.message("post:1", to=of.address, kind="window_post", gas_limit=10**7, gas_fee_cap=10**10)
    Wallet.objects.filter(address=of.worker).update(balance=5)
    assert lacking(of) == {"balance"}
    Wallet.objects.filter(address=of.worker).update(balance=10**18)

    Sender.objects.update_or_create(address=of.worker, defaults={"gap_nonce": 7})
    assert lacking(of) == {"nonce"}
    Sender.objects.update(gap_nonce=None, state=SenderState.FORBIDDEN)
    assert lacking(of) == {"sender"}
    Sender.objects.update(state=SenderState.ALIVE)

    late = replace(look(OneDeadline()), now=now() + timedelta(seconds=20))
    assert set(
        unmet_preconditions_find(Deadline.objects.get(), readiness=readiness_check(of, context=late))
    ) == {"head"}


def test_a_prover_whose_proofs_the_network_refuses_is_not_called_absent() -> None:
    factories.network("mainnet", params=network_to_params(MAINNET, genesis_s=0))
    ready()

    readiness = readiness_check(Deadline.objects.get().miner, context=look(OneDeadline()))

    assert readiness.provers == []
    expected = "no prover assigned to it whose proofs the network accepts is connected"
    assert readiness.unmet["host"] == expected


def test_an_empty_sender_is_named_before_the_first_proof() -> None:
    of = ready()
    Wallet.objects.filter(address=of.worker).update(balance=0)
    assert lacking(of) == {"balance"}

    enough = 30_000_000 * 2 * int(look(OneDeadline()).head.base_fee)
    assert enough > 0
    Wallet.objects.filter(address=of.worker).update(balance=enough)
    assert lacking(of) == set()
    Wallet.objects.filter(address=of.worker).update(balance=enough - 1)
    assert lacking(of) == {"balance"}


def test_deadline_turns_amber_ahead_of_its_window_and_back() -> None:
    of = ready()
    Deadline.objects.update(open_epoch=OPEN + 60, close_epoch=CLOSE + 60, challenge_epoch=OPEN + 58)
    Deadline.objects.update(cutoff_epoch=OPEN + 20)
    SignerKey.objects.update(removed_at=now())

    forecasts_measure(look(OneDeadline(), OPEN))

    row = Deadline.objects.get(miner=of)
    assert (row.forecast, list(row.unmet_preconditions)) == (Forecast.AT_RISK, ["signer"])
    assert "no signer holds" in row.reason
    SignerKey.objects.update(removed_at=None)
    forecasts_measure(look(OneDeadline(), OPEN))
    row.refresh_from_db()
    assert (row.forecast, row.unmet_preconditions) == (Forecast.LATER, {})


def test_a_proof_that_the_signers_policy_would_refuse_is_forecast(monkeypatch: pytest.MonkeyPatch) -> None:
    of = ready()
    asked: list[Any] = []

    def refuse(viewer: Any, *, address: str, message: Any) -> MessageVerdict:
        asked.append((address, message))
        return MessageVerdict(
            words="", rule="", error="rule 'sealing': fees per day 204 FIL is above 200 FIL"
        )

    monkeypatch.setattr(policies, "policy_try", refuse)
    readiness = readiness_check(of, context=look(OneDeadline()))
    deadline = Deadline.objects.get()

    text = f"the signer would refuse deadline {deadline.index}'s proof: rule “sealing” allows fees of 200"
    assert unmet_preconditions_find(deadline, readiness=readiness)["policy"].startswith(text)
    address, message = asked[0]
    assert (str(message.from_), str(message.to), message.value) == (address, of.address, 0)
    assert message_readings(message) == ("miner.SubmitWindowedPoSt",)
    assert message.gas_limit * message.gas_fee_cap > 0


def test_a_signer_that_cannot_be_asked_makes_no_forecast(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_args: Any, **_how: Any) -> None:
        raise SignerAway("f3x")

    monkeypatch.setattr(policies, "policy_try", away)
    assert "policy" not in lacking(ready())


def test_a_silent_signer_is_asked_once_for_all_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question costs its time limit, in the task that declares faults, too."""
    further, asked = factories.wallet().address, list[str]()
    of = ready(control=[further])
    factories.signer_key(further, SignerConnection.objects.get())
    assert sender_choose(of, Use.POST).address == further != of.worker

    def silent(_viewer: Any, *, address: str, **_how: Any) -> None:
        asked.append(address)
        raise SignerAway(address)

    for name in ("policy_read", "policy_try"):
        monkeypatch.setattr(policies, name, silent)
    forecasts_measure(look(OneDeadline(), OPEN))
    assert len(asked) == 1

    asked.clear()
    monkeypatch.setattr(policies, "policy_read", lambda *_a, **_k: Mock(rules=(), error=""))
    forecasts_measure(look(OneDeadline(), OPEN))
    assert len(asked) == 1, "whether it would refuse the next proof"


def test_what_there_is_to_say_of_a_policy_is_kept_beside_its_signer(monkeypatch: pytest.MonkeyPatch) -> None:
    of = ready()
    rules: list[RuleForm] = [RuleForm(name="all", methods=("miner.*",), fee_per_day="1 FIL")]
    monkeypatch.setattr(policies, "_signer_call", lambda *_a, **_k: Mock(rules=tuple(rules), error=""))

    policies.policy_advice_record(address=str(of.worker))
    assert SignerConnection.objects.get().policy_advice == [PROOFS_BY_DAY, NO_VOTES, NO_PUBLISHING]
    rules[:] = [RuleForm(name="all", methods=("miner.*",)), RuleForm(name="votes", types=("f3",))]
    policies.policy_advice_record(address=str(of.worker))
    assert SignerConnection.objects.get().policy_advice == [NO_PUBLISHING]

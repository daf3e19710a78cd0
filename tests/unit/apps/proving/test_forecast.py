"""The forecast of a deadline: will it land, is it at risk, and why."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from apps.chain.heads.steps import facts_due
from apps.core import clock
from apps.proving.models import ProofAttempt, WindowPost
from apps.proving.reasons import NO_PROVER
from apps.proving.selectors.forecast import ForecastContext, forecast_of
from apps.proving.selectors.provers import provers_online, provers_online_count
from apps.proving.states import AttemptKind, Forecast, PostState
from apps.sectors.models import Worker
from poolsite.wire.jobs import JobKind
from tests import factories
from tests.people import tenant
from tests.unit.apps.proving.hanging import prover

pytestmark = pytest.mark.django_db


def judged(*states: str, height: int = 985, live: int = 1, provers: int = 1, **data: Any) -> tuple[str, str]:
    """The forecast of a deadline that opens at 980 and closes at 990, with proofs in these states."""
    miner = factories.miner()
    counts = {name: data.pop(name, 0) for name in ("faulty", "recovering")}
    deadline = factories.deadline(miner, 2, live=live, **counts)
    waits, job = data.pop("waits", {}), data.pop("job", None)
    posts = [
        WindowPost.objects.create(
            miner=miner,
            deadline_index=2,
            open_epoch=980,
            close_epoch=990,
            challenge_epoch=978,
            part=part,
            state=state,
            message_id="m",
            randomness=b"r",
            **data,
        )
        for part, state in enumerate(states)
    ]
    if job is not None:
        ProofAttempt.objects.create(post=posts[0], kind=AttemptKind.FIRST, job=job)
    look = ForecastContext(height=height, window=10, provers=provers, message_waits=waits, confidence=1)
    return forecast_of(deadline, posts, look)


@pytest.mark.parametrize(
    ("states", "facts", "forecast", "words"),
    [
        ([], {"live": 0}, Forecast.NOTHING, "no sectors"),
        ([], {"height": 970}, Forecast.LATER, "challenged at epoch 978"),
        ([], {"height": 970, "provers": 0}, Forecast.AT_RISK, NO_PROVER()),
        ([], {"height": 978}, Forecast.WILL_LAND, "about to be proved"),
        ([], {"height": 981}, Forecast.WILL_LAND, "about to be proved"),
        ([], {"height": 981, "provers": 0}, Forecast.AT_RISK, NO_PROVER()),
        ([], {"height": 982}, Forecast.AT_RISK, "no proof was begun since the challenge at epoch 978"),
        ([], {"height": 977, "faulty": 1}, Forecast.LATER, "challenged at epoch 978"),
        ([], {"height": 978, "faulty": 1}, Forecast.NOTHING, "all its sectors are faulty"),
        ([], {"faulty": 1, "recovering": 1, "height": 978}, Forecast.WILL_LAND, "about to be proved"),
        ([PostState.PROVING], {"height": 979}, Forecast.WILL_LAND, "being proved"),
        ([PostState.PROVING], {"height": 979, "provers": 0}, Forecast.AT_RISK, NO_PROVER()),
        ([PostState.PROVING], {"height": 988}, Forecast.AT_RISK, "not sent yet, 2 epochs left"),
        ([PostState.PROVED], {"height": 979}, Forecast.WILL_LAND, "proved, waiting for the window to open"),
        ([PostState.SENT], {"height": 982}, Forecast.WILL_LAND, "sent, waiting for a block"),
        ([PostState.SENT], {"height": 986}, Forecast.AT_RISK, "not landed yet, 4 epochs left"),
        ([PostState.LANDED], {}, Forecast.LANDED, "proved"),
        (
            [PostState.LANDED, PostState.SENT],
            {"height": 982},
            Forecast.WILL_LAND,
            "sent, waiting for a block",
        ),
        ([PostState.MISSED], {}, Forecast.MISSED, "the window closed without a proof"),
        (
            [PostState.NOTHING],
            {},
            Forecast.AT_RISK,
            "no sector can be proved: files are missing or damaged",
        ),
        (
            [PostState.SENT],
            {"height": 986, "waits": {"m": "no connected signer has this key"}},
            Forecast.AT_RISK,
            "not landed yet, 4 epochs left: no connected signer has this key",
        ),
    ],
)
def test_forecast_and_its_reason(states: list[str], facts: dict[str, Any], forecast: str, words: str) -> None:
    assert judged(*states, **facts) == (forecast, words)


@pytest.mark.parametrize(
    ("state", "facts", "words"),
    [
        (PostState.PROVING, {"tries": 2, "error": "no proof was made: x"}, "2 attempts failed: no proof"),
        (PostState.PROVED, {"skipped": {"0": [7]}}, "1 sector is left out: its files cannot be read"),
        (PostState.NOTHING, {"partitions": [1], "error": "no sector"}, "partition 1: no sector"),
    ],
)
def test_what_is_tried_again_is_a_risk(state: str, facts: dict[str, Any], words: str) -> None:
    forecast, reason = judged(PostState.SENT, state, height=979, **facts)

    assert (forecast, reason[: len(words)]) == (Forecast.AT_RISK, words)


def test_what_landed_without_some_sectors_says_so() -> None:
    forecast, reason = judged(PostState.LANDED, skipped={"0": [7, 8]})

    assert (forecast, reason) == (
        Forecast.LANDED,
        "proved, 2 sectors are left out: their files cannot be read",
    )


def test_a_failing_prover_is_named() -> None:
    job = factories.proof_job(factories.miner(), worker=factories.worker(), error="disk is gone")

    assert judged(PostState.PROVING, height=979, job=job) == (
        Forecast.AT_RISK,
        "proving failed: disk is gone",
    )


def test_only_living_provers_of_the_tenant_count() -> None:
    since = clock.now()
    kinds = [JobKind.WINDOW_POST]
    factories.worker(kinds=kinds)
    factories.worker(kinds=kinds, is_paused=True)
    factories.worker(kinds=kinds, of="bob")
    factories.worker()
    factories.worker(kinds=kinds, seen_at=since.replace(year=2020))

    assert provers_online_count(tenant_id=tenant("alice").pk, since=since) == 1


def test_a_prover_that_makes_no_proofs_for_the_network_is_none() -> None:
    row, since = prover("p", hardware={"proofs": ["vanilla"]}), clock.now() - timedelta(seconds=9)
    assert provers_online(tenant_id=row.tenant_id, since=since) == [row]

    factories.network("mainnet")
    assert provers_online(tenant_id=row.tenant_id, since=since) == []

    Worker.objects.update(hardware={"proofs": ["vanilla", "groth16"]})
    assert provers_online(tenant_id=row.tenant_id, since=since) == [row]


def test_a_head_finds_no_work_where_no_prover_makes_proofs_for_the_network() -> None:
    factories.network("mainnet")
    factories.deadline(factories.miner(), 2, live=1, forecast=Forecast.AT_RISK)
    row = prover("p", hardware={"proofs": ["vanilla"]})
    assert "proving.refresh" not in facts_due(height=951)

    Worker.objects.filter(pk=row.pk).update(hardware={"proofs": ["vanilla", "groth16"]})
    assert "proving.refresh" in facts_due(height=951), "the forecast changes"

"""Where the chain takes proofs that the pool does not make, nothing is pledged, claimed or sent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from apps.sectors.errors import ProofFormMissing
from apps.sectors.models import Batch, Sector
from apps.sectors.proof_forms import proof_form_for
from apps.sectors.services.batches import batches_close
from apps.sectors.services.pledge import pledge_create
from poolsite.filecoin.policy import DEMO, MAINNET, ProofForm
from tests import factories
from tests.unit.apps.sectors.sealing import NOON, claim
from tests.unit.apps.sectors.test_batches import waiting, work

pytestmark = pytest.mark.django_db


def test_the_pool_makes_the_container_alone() -> None:
    assert proof_form_for(DEMO) == ProofForm.VANILLA
    with pytest.raises(ProofFormMissing, match="mainnet takes groth16 proofs"):
        proof_form_for(MAINNET)


def test_nothing_is_pledged_where_our_proofs_are_refused() -> None:
    factories.network("mainnet")
    miner = factories.miner()

    with pytest.raises(ProofFormMissing, match="no deposit is locked"):
        pledge_create(miner, count=1, actor="ann", now=NOON)

    assert not Sector.objects.exists()


def test_a_worker_gets_no_job_where_our_proofs_are_refused() -> None:
    network = factories.network()
    miner = factories.miner()
    pledge_create(miner, count=1, actor="ann", now=NOON)
    worker = factories.worker()
    network.name = "mainnet"
    network.save()

    assert claim(worker) == ()

    network.name = factories.NETWORK
    network.save()
    assert len(claim(worker)) == 1


def test_no_batch_closes_where_our_proofs_are_refused() -> None:
    waiting(2, since=1)
    given = work(100)

    assert batches_close(replace(given, network=MAINNET)) == 0
    assert not Batch.objects.exists()

"""Where the chain takes proofs that the pool does not make, nothing is pledged, claimed or sent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from apps.sectors.errors.pledges import ProofFormMissing
from apps.sectors.models import Batch, Sector
from apps.sectors.selectors.proof_forms import (
    FORMS_HERE,
    forms_accepted,
    forms_here,
    makes_proofs_here,
    parameters_error,
    proof_form_check,
    proof_form_for,
    proof_verifier,
)
from apps.sectors.services.batches.closing import batches_close
from apps.sectors.services.hosts.heartbeats import worker_heartbeat
from apps.sectors.services.sealing.pledge import pledge_create
from poolsite.filecoin import policy
from poolsite.filecoin.groth16.circuits import post_circuit_id, verifying_key_name
from poolsite.filecoin.groth16.keys import FOLDER_VARIABLE
from poolsite.filecoin.groth16.verification import BadVerifyingKey
from poolsite.filecoin.network_params import network_to_params
from poolsite.filecoin.policy import DEMO, MAINNET, Network, ProofForm
from poolsite.filecoin.post.parameters import post_parameters
from poolsite.wire.hosts import Heartbeat
from tests import factories
from tests.unit.apps.sectors.batches import waiting, work
from tests.unit.apps.sectors.sealing import NOON, claim
from tests.unit.filecoin.golden_proofs import golden

pytestmark = pytest.mark.django_db


def test_groth16_is_made_once_a_sealer_and_a_prover_say_so() -> None:
    assert proof_form_for(DEMO) == ProofForm.VANILLA
    with pytest.raises(ProofFormMissing, match="and none is made here by: sealer, prover"):
        proof_form_for(MAINNET)
    factories.worker(hardware={"proofs": ["vanilla", "groth16"]})
    with pytest.raises(ProofFormMissing, match="and none is made here by: prover"):
        proof_form_for(MAINNET)
    factories.worker(kinds=["window_post"], hardware={"proofs": ["groth16"]})
    assert proof_form_for(MAINNET) == ProofForm.GROTH16


def test_toxic_parameters_prove_nothing_on_a_public_network() -> None:
    for kinds in (["seal"], ["window_post"]):
        factories.worker(kinds=kinds, hardware={"proofs": ["vanilla", "groth16_toxic"]})
    toxic = {"proofs": ["groth16_toxic"]}

    with pytest.raises(ProofFormMissing, match="and none is made here by: sealer, prover"):
        proof_form_for(MAINNET)
    own_devnet = replace(MAINNET, name="localnet-0f3c")
    assert proof_form_for(own_devnet) == ProofForm.GROTH16
    assert makes_proofs_here(toxic)
    assert parameters_error(toxic) == ""

    factories.network("mainnet")
    assert not makes_proofs_here(toxic)
    assert "mainnet rejects every proof made with them" in parameters_error(toxic)
    assert parameters_error({"proofs": ["groth16"]}) == ""


def test_a_public_network_takes_no_files_but_its_list_s() -> None:
    foreign = {"proofs": ["groth16_foreign"], "parameters_foreign": "v28-one.params, v28-two.params"}
    assert proofs_taken(replace(MAINNET, name="localnet-0f3c"), foreign)
    assert not proofs_taken(MAINNET, foreign)
    assert parameters_error(foreign) == ""

    factories.network("mainnet")
    assert not makes_proofs_here(foreign)
    refused = parameters_error(foreign)
    assert "not the files published for the network (v28-one.params, v28-two.params): mainnet" in refused
    toxic = {"proofs": ["groth16_toxic"], "parameters_foreign": "v28-one.params"}
    assert "come from a known seed (v28-one.params)" in parameters_error(toxic)


def test_a_host_that_makes_no_proofs_that_the_network_takes_says_so() -> None:
    vanilla = {"proofs": ["vanilla"]}
    assert parameters_error(vanilla) == "", "no network is known"

    factories.network("mainnet")
    assert "it makes no Groth16 proofs, and mainnet accepts no others" in parameters_error(vanilla)
    assert parameters_error(vanilla | {"parameters_done": 1, "parameters_total": 4}) == "", "it prepares them"
    assert parameters_error({"proofs": ["vanilla", "groth16"]}) == ""


@pytest.mark.parametrize("name", [*policy.NETWORKS, *policy.ALIASES, "localnet-0f3c", ""])
def test_a_query_names_the_same_forms_of_a_network(name: str) -> None:
    if name:
        factories.network("other", params=network_to_params(replace(MAINNET, name=name), genesis_s=0))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT ({FORMS_HERE})")
        [found] = cursor.fetchone()

    assert (None if found is None else frozenset(found)) == forms_here()


def test_a_heartbeat_is_answered_with_form_and_epoch_of_the_network() -> None:
    def told() -> tuple[bool, int]:
        answer = worker_heartbeat(worker, heartbeat=Heartbeat(boot_id=worker.boot_id), now=NOON)
        return answer.takes_containers, answer.epoch_s

    worker = factories.worker(kinds=["window_post"])
    assert told() == (True, 0)
    network = factories.network("localnet-poolsite-demo")
    assert told() == (True, 2)
    network.name = "mainnet"
    network.save()
    assert told() == (False, 30)


def proofs_taken(network: Network, hardware: dict[str, Any]) -> bool:
    return not forms_accepted(network).isdisjoint(hardware["proofs"])


def test_the_console_checks_by_no_key_that_the_network_does_not_publish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    circuit = post_circuit_id(post_parameters(10))
    (tmp_path / verifying_key_name(circuit)).write_bytes(bytes.fromhex(golden("groth16_window_2k")["vk"]))
    network = factories.network()
    assert proof_verifier().keys.get(circuit) is not None

    network.name = "mainnet"
    network.save()
    with pytest.raises(BadVerifyingKey, match="is not the file in the public networks' list"):
        proof_verifier().keys.get(circuit)


def test_a_container_is_not_sent_to_a_network_that_takes_groth16() -> None:
    proof_form_check(DEMO, b"devnet-proof/1...")
    proof_form_check(MAINNET, bytes(192))
    with pytest.raises(ProofFormMissing):
        proof_form_check(MAINNET, b"devnet-proof/1...")


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

    worker.hardware["proofs"] = ["groth16"]
    worker.save()
    assert len(claim(worker)) == 1


def test_our_own_chain_takes_both_forms_from_hosts_that_make_any() -> None:
    assert makes_proofs_here({})
    assert makes_proofs_here({"proofs": ["groth16"]})
    factories.network()
    assert makes_proofs_here({"proofs": ["groth16"]})
    assert not makes_proofs_here({"proofs": []})


def test_no_batch_closes_where_our_proofs_are_refused() -> None:
    waiting(2, since=1)
    given = work(100)

    assert batches_close(replace(given, network=MAINNET)) == 0
    assert not Batch.objects.exists()

from __future__ import annotations

import pytest

from poolsite.filecoin.porep.parameters import UnknownSealProof, seal_parameters
from tests.unit.filecoin.golden_proofs import golden

REGISTERED = golden("registry")["seal"]


@pytest.mark.parametrize(
    ("number", "entry"), list(enumerate(REGISTERED)), ids=[entry["name"] for entry in REGISTERED]
)
def test_parameters_equal_the_registry(number, entry):
    parameters = seal_parameters(number)

    assert parameters.name == entry["name"]
    assert parameters.sector_bytes == entry["sector_size"]
    assert parameters.api_version == entry["api_version"]
    assert parameters.partitions == entry["partitions"]
    assert parameters.challenges == -(-entry["min_challenges"] // entry["partitions"])
    assert parameters.porep_id.hex() == entry["porep_id"]
    assert parameters.name.startswith(parameters.label_tag)


@pytest.mark.parametrize("number", [-1, 20])
def test_a_number_outside_the_registry_is_refused(number):
    with pytest.raises(UnknownSealProof):
        seal_parameters(number)

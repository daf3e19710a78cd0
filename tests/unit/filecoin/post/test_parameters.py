from __future__ import annotations

import pytest

from poolsite.filecoin.post.parameters import PoStKind, UnknownPoStProof, post_parameters
from tests.unit.filecoin.golden_proofs import golden

REGISTERED = golden("registry")["post"]
NAMES = {PoStKind.WINNING: "Winning", PoStKind.WINDOW: "Window"}


@pytest.mark.parametrize("number", range(15))
def test_parameters_equal_the_registry(number):
    parameters = post_parameters(number)
    (entry,) = (
        entry
        for entry in REGISTERED
        if NAMES[parameters.kind] in entry["name"]
        and entry["sector_size"] == parameters.sector_bytes
        and entry["api_version"] == parameters.api_version
    )

    assert entry["challenge_count"] == parameters.challenges
    assert entry["sector_count"] == parameters.partition_sectors


@pytest.mark.parametrize("number", [-1, 15])
def test_a_number_outside_the_registry_is_refused(number):
    with pytest.raises(UnknownPoStProof):
        post_parameters(number)

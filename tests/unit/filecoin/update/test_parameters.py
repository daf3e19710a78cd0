from __future__ import annotations

import pytest

from poolsite.filecoin.update.parameters import UnknownUpdateProof, update_parameters
from tests.unit.filecoin.golden_proofs import golden

TABLE = ((1, 10, 1, 8), (4, 10, 10, 128), (16, 86, 10, 128), (16, 86, 10, 128), (16, 86, 10, 128))
"""Partitions, challenges, h and apex leaves by registered number.  Source: FIP-0019."""


@pytest.mark.parametrize("number", range(5))
def test_parameters_follow_the_registered_number(number):
    parameters = update_parameters(number)
    counts = (parameters.partitions, parameters.challenges, parameters.high_bits, parameters.apex_leaves)

    assert parameters.sector_bytes == golden("registry")["update"][number]["sector_size"]
    assert counts == TABLE[number]


def test_h_select_names_the_first_place_of_h():
    assert [update_parameters(number).high_bits_select for number in range(5)] == [1, 8, 8, 8, 8]


@pytest.mark.parametrize("number", [-1, 5])
def test_a_number_outside_the_registry_is_refused(number):
    with pytest.raises(UnknownUpdateProof):
        update_parameters(number)

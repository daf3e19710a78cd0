from __future__ import annotations

import pytest

from poolsite.filecoin.update.challenges import update_challenges
from poolsite.filecoin.update.parameters import update_parameters
from tests.unit.filecoin.golden_proofs import golden
from tests.unit.filecoin.update.golden_updates import UPDATE_CASES, case_update_parameters


def drawn(parameters, expected):
    comm_r_new = bytes.fromhex(expected["comm_r_new"])
    return [
        list(update_challenges(parameters, comm_r_new, partition=at)) for at in range(parameters.partitions)
    ]


@pytest.mark.parametrize("case", UPDATE_CASES)
def test_challenges_equal_the_golden_ones(case):
    expected = golden(f"seal_{case}")["update"]

    assert drawn(case_update_parameters(case), expected) == expected["challenges_per_partition"]


def test_challenges_of_8_mib_equal_the_golden_ones():
    expected = golden("seal_8m_v1_1")["update"]

    assert drawn(update_parameters(1), expected) == expected["challenges_per_partition"]


def test_challenges_of_64_gib_stay_in_their_partition():
    parameters = update_parameters(4)
    challenges = update_challenges(parameters, bytes(32), partition=15)

    assert len(challenges) == 86
    assert all(challenge >> 27 == 15 for challenge in challenges)

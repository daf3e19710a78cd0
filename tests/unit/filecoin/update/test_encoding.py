from __future__ import annotations

import pytest

from poolsite.filecoin.scalars import scalar_to_bytes
from poolsite.filecoin.update.encoding import update_phi, update_rho
from tests.unit.filecoin.golden_proofs import golden

CASES = {"2k_v1_1": 64, "16k_sub8": 512, "8m_v1_1": 1 << 18}


@pytest.mark.parametrize("case", CASES)
def test_phi_and_rho_equal_the_golden_ones(case):
    expected, nodes = golden(f"seal_{case}")["update"], CASES[case]
    phi = update_phi(bytes.fromhex(expected["comm_d_new"]), bytes.fromhex(expected["comm_r_old"]))
    second = nodes >> expected["h"]
    rhos = [update_rho(phi, node, nodes=nodes, high_bits=expected["h"]) for node in (0, second)]

    assert scalar_to_bytes(phi).hex() == expected["phi"]
    assert [scalar_to_bytes(rho).hex() for rho in rhos] == [expected["rho_0"], expected["rho_1"]]

from __future__ import annotations

import pytest

from poolsite.filecoin.bincode import BadBincode
from poolsite.filecoin.porep.sealing import porep_prove
from poolsite.filecoin.porep.vanilla import porep_proof_decode, porep_proof_encode
from tests.unit.filecoin.golden_proofs import case_sealed


@pytest.mark.parametrize("case", ["2k_v1_1", "4k_sub2", "32k_top2_11layers"])
def test_a_proof_comes_back_from_its_bytes(case):
    proof = porep_prove(case_sealed(case), 17)

    assert porep_proof_decode(porep_proof_encode(proof)) == proof


def test_truncated_and_lengthened_bytes_are_refused():
    data = porep_proof_encode(porep_prove(case_sealed("2k_v1_1"), 17))

    for wrong in (*(data[:length] for length in range(0, len(data), 7)), data[:-1], data + b"\0"):
        with pytest.raises(BadBincode):
            porep_proof_decode(wrong)

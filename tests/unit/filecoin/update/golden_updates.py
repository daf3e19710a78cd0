"""The golden SnapUp cases, updated again once per test run."""

from __future__ import annotations

from functools import cache

from poolsite.filecoin.fr32 import fr32_pad
from poolsite.filecoin.update.parameters import UpdateParameters, update_parameters_for_size
from tests.naive.updates import UpdatedSector, sector_update
from tests.unit.filecoin.golden_proofs import SEALED_CASES, case_sealed, golden, stream

UPDATE_CASES = tuple(case for case in SEALED_CASES if "update" in golden(f"seal_{case}"))


def case_update_parameters(case: str) -> UpdateParameters:
    sector = case_sealed(case).parameters
    return update_parameters_for_size(sector.sector_bytes, sector.shape)


@cache
def case_updated(case: str) -> UpdatedSector:
    sector = case_sealed(case)
    return sector_update(
        fr32_pad(stream("snap-0", sector.parameters.sector_bytes // 128 * 127)),
        parameters=case_update_parameters(case),
        tree_r_old=sector.tree_r_last,
        comm_c=sector.tree_c.root,
    )

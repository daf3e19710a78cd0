"""The limits that the issue "Chain" sets for the formats."""

from __future__ import annotations

import pytest

from tests.bench.chain_codec import Case, cases, run

LIMITED = [case for case in cases() if case.limit_us is not None]


@pytest.mark.bench
@pytest.mark.parametrize("case", LIMITED, ids=lambda case: case.name)
def test_within_the_limit(case: Case) -> None:
    figure = run(case)

    assert figure.limit is not None
    assert figure.value < figure.limit

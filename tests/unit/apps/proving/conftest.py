"""What tests of proofs share."""

from __future__ import annotations

import pytest

from apps.core import clock
from apps.proving.services import fault_rechecks, proofs


@pytest.fixture
def every_proof_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proofs of the tests are a few letters, which no verifier takes."""
    for module in (proofs, fault_rechecks):
        monkeypatch.setattr(module, "proof_check", lambda _job: None)


@pytest.fixture
def time_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proof's lease is 2 s on the test network, less than queries may take: here none runs out."""
    moment = clock.now()
    monkeypatch.setattr(clock, "now", lambda: moment)

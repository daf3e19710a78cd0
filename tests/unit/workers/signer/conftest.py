"""Signers in temporary folders, with quick password hashes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.keys import fixed_key
from workers.signer.default_policy import DEFAULT
from workers.signer.encryption import Cost
from workers.signer.keystore import KeyStore
from workers.signer.signing import Signer

CHEAP = Cost(time=1, memory_kib=8, lanes=1)
PASSWORD = "open sesame"


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    """An unlocked store with one key."""
    made = KeyStore(tmp_path, cost=CHEAP)
    made.password_set(PASSWORD)
    made.add(fixed_key("secp256k1"), label="control")
    return made


@pytest.fixture
def signer(tmp_path: Path) -> Iterator[Signer]:
    """An unlocked signer with a key of each type."""
    (tmp_path / "policy.toml").write_text(DEFAULT)
    made = Signer(tmp_path, cost=CHEAP)
    made.store.password_set(PASSWORD)
    for kind in ("bls", "secp256k1", "delegated"):
        made.store.add(fixed_key(kind))
    yield made
    made.close()

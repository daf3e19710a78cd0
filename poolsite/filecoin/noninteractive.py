"""What the chain asks of ProveCommitSectorsNI: sectors committed and proven at once (FIP-0092)."""

from __future__ import annotations

from typing import Final

from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET

MAX_SECTORS: Final = 65
"""Most sectors of one message.  Source: builtin-actors runtime/src/runtime/policy.rs
MAX_AGGREGATED_SECTORS_NI."""
LOOKBACK: Final = 180 * EPOCHS_PER_DAY_MAINNET
"""Oldest ticket in epochs.  Source: builtin-actors runtime/src/runtime/policy.rs
MAX_PROVE_COMMIT_NI_LOOKBACK."""
SEED: Final = bytes([1]) * 32
"""What stands for the seed; such proofs do not depend on it.  Source: builtin-actors
actors/miner/src/lib.rs prove_commit_sectors_ni."""

"""Results of calls that treat many items: how many succeeded, which failed and why.

Source: go-state-types batch/batch_return.go; builtin-actors runtime/src/util/batch_return.rs.
"""

from __future__ import annotations

from dataclasses import dataclass

from poolsite.filecoin.codec import Int64, Uint64, cbor_tuple


@cbor_tuple
@dataclass(frozen=True, slots=True)
class FailCode:
    """One item that failed."""

    idx: Uint64
    """Place in the batch."""
    code: Int64
    """Exit code of its execution."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class BatchReturn:
    """How the items of a batch fared."""

    success_count: Uint64
    """Items that succeeded."""
    fail_codes: tuple[FailCode, ...]
    """The items that failed."""

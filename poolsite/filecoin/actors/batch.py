"""Results of calls that treat several items: how many succeeded, which failed and with what exit code.

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
    """Index of the item in the request, from 0."""
    code: Int64
    """Exit code."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class BatchReturn:
    """Which items of a request succeeded; their number is the successes plus the failures."""

    success_count: Uint64
    """Items that are not in `fail_codes`."""
    fail_codes: tuple[FailCode, ...]
    """By ascending index; an item that is not listed succeeded."""

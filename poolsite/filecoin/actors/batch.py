"""Results of calls that treat many items: how many succeeded, which failed and why.

Source: go-state-types batch/batch_return.go; builtin-actors runtime/src/util/batch_return.rs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.codec import INT64, UINT64, Field, Struct, list_of


@dataclass(frozen=True, slots=True)
class FailCode:
    """One item that failed."""

    idx: int
    """Place in the batch."""
    code: int
    """Exit code of its execution."""


FAIL_CODE: Final = Struct(
    FailCode,
    Field("idx", "Idx", UINT64),
    Field("code", "Code", INT64),
)


@dataclass(frozen=True, slots=True)
class BatchReturn:
    """How the items of a batch fared."""

    success_count: int
    """Items that succeeded."""
    fail_codes: tuple[FailCode, ...]
    """The items that failed."""


BATCH_RETURN: Final = Struct(
    BatchReturn,
    Field("success_count", "SuccessCount", UINT64),
    Field("fail_codes", "FailCodes", list_of(FAIL_CODE.kind())),
)

"""Records over the wallet JSON-RPC: what was signed or refused, newest first."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from workers.signer.records import RecordQuery

if TYPE_CHECKING:
    from poolsite.wire.jsonrpc.messages import Json
    from workers.signer.callers import Caller

EMPTY_ADDRESS: Final = "<empty>"


def list_signed_record(caller: Caller, request: Mapping[str, Json]) -> list[Json]:
    """List what was signed or refused, newest first."""
    address = str(request.get("signer") or "")
    query = RecordQuery(
        id=str(request.get("id") or ""),
        type=str(request.get("type") or ""),
        address="" if address == EMPTY_ADDRESS else address,
        errors_only=request.get("iserror") is True,
        after=time_text(request.get("after")),
        before=time_text(request.get("before")),
        skip=count(request.get("skip")),
        limit=count(request.get("limit")),
    )
    rows = caller.signer.records_query(query)
    return [record_json(row) for row in rows if caller.may_see(row["address"])]


def time_text(value: Json) -> str:
    """Read a time; Go's zero time asks for nothing."""
    text = str(value or "")
    return "" if text.startswith("0001-01-01") else text.replace("Z", "+00:00")


def count(value: Json) -> int:
    """Read a number of rows."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31 else 0


def record_json(row: sqlite3.Row) -> Json:
    """Return one record as JSON; a refusal's reason stands under a name of ours.

    The original writes `{}` for an error, which its own Go client cannot read back; null it can.
    """
    return {
        "ID": row["id"],
        "Type": row["type"],
        "Signer": row["address"],
        "Err": None,
        "RawMsg": base64.b64encode(row["raw"]).decode(),
        "Signature": {"Type": 0, "Data": None},
        "CreateAt": row["at"].replace("+00:00", "Z"),
        "Error": row["error"],
        "Rule": row["rule"],
        "Caller": row["caller"],
    }

"""A file of exported messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from poolsite.filecoin.cids import cid_to_json
from poolsite.filecoin.message import Message, message_to_json
from poolsite.wire.offline_files import FORMAT


def document(*messages: Message) -> dict[str, Any]:
    entries = [
        {
            "Id": f"m{at}",
            "Message": message_to_json(one),
            "CID": cid_to_json(one.cid),
            "SignBytes": one.cid.data.hex(),
            "ExpiresAt": "2026-11-30T00:00:00+00:00",
        }
        for at, one in enumerate(messages)
    ]
    return {"Format": FORMAT, "Network": "testnetnet", "Messages": entries}


def exported(folder: Path, *messages: Message) -> Path:
    """The file in a folder."""
    file = folder / "unsigned.json"
    file.write_text(json.dumps(document(*messages)))
    return file

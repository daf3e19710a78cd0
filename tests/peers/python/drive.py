"""Drives pylotus-rpc against a node, in an environment of its own; prints what it understood as JSON."""

from __future__ import annotations

import json
import sys
from urllib.parse import urlsplit

from pylotus_rpc import HttpJsonRpcConnector, LotusClient  # type: ignore[import-not-found]

url, token, miner, owner = sys.argv[1:]
client = LotusClient(HttpJsonRpcConnector(host=url, port=urlsplit(url).port, api_token=token or None))
info = client.State.miner_info(miner)
head = client.Chain.head()
json.dump(
    {
        "network": client.State.network_name(),
        "version": client.State.network_version(),
        "sector_size": info.sector_size,
        "owner": info.owner,
        "key": client.State.account_key(info.owner),
        "id": client.State.lookup_id(owner),
        "height": head.height,
        "miners": client.State.list_miners(),
        "actor": client.State.get_actor(owner).balance,
        "power": client.State.miner_power(miner),
    },
    sys.stdout,
    default=str,
)

"""Messages that REST refuses, with the field and the reason."""

from __future__ import annotations

import base64
from typing import Any

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"id": ""}, "id"),
    ({"id": "x" * 257}, "id"),
    ({"id": {}}, "id"),
    ({"from": "me"}, "from"),
    ({"from": None}, "from"),
    ({"to": "f0"}, "to"),
    ({"to": 5}, "to"),
    ({"value": -1}, "value"),
    ({"value": "1.5"}, "value"),
    ({"value": "9" * 41}, "value"),
    ({"value": "9" * 30}, "value"),
    ({"method": -1}, "method"),
    ({"method": "five"}, "method"),
    ({"method": 1 << 64}, "method"),
    ({"params": "%%%"}, "params"),
    ({"params": base64.b64encode(bytes(70_000)).decode()}, "params"),
    ({"gas_limit": -1}, "gas_limit"),
    ({"gas_limit": 10**11}, "gas_limit"),
    ({"gas_limit": 10**40}, "gas_limit"),
    ({"gas_fee_cap": "x"}, "gas_fee_cap"),
    ({"gas_premium": "-5"}, "gas_premium"),
    ({"gas_premium": "6", "gas_fee_cap": "5"}, "gas_premium"),
    ({"max_fee": "x"}, "max_fee"),
    ({"max_fee": "9" * 40}, "max_fee"),
    ({"gas_over_estimation": -1}, "gas_over_estimation"),
    ({"gas_over_estimation": 1e6}, "gas_over_estimation"),
    ({"gas_over_premium": "much"}, "gas_over_premium"),
    ({"gas_over_premium": True}, "gas_over_premium"),
    ({"expire_epoch": -1}, "expire_epoch"),
    ({"expire_epoch": 1 << 70}, "expire_epoch"),
    ({"nonce": 5}, "nonce"),
    ({"colour": "red"}, "colour"),
]

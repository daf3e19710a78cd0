"""The fake node with the words and forms of forest, where they are not lotus'.

Source: ChainSafe/forest src/rpc, src/message_pool/errors.rs, src/chain/store (72c2f2f0, August 2026).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from poolsite.filecoin.message import Message, SignedMessage, message_to_json
from tests.fake_node import FakeNode, Refusal, Tipset

INTERNAL = -32603
"""Code of most of its errors."""
PUSH_WORDS = {
    "message nonce too low": "Message sequence too low",
    "message with nonce already exists": "Message with sequence already in mempool",
    "gas fee cap too low": "gas fee cap is too low",
    "replace by fee has too low GasPremium": "gas price is lower than min gas price",
}
"""Ends of lotus' refusals of a push, and what forest says instead."""


class ForestNode(FakeNode):
    """A chain of one block per tipset, as forest answers for it."""

    def __init__(self, *, salt: str = "") -> None:
        super().__init__(salt=salt)
        self.beside: list[SignedMessage] = []
        """Of a second block of each tipset that has messages, with nonces that the first has used."""
        self.lacks |= {"GasBatchEstimateMessageGas", "MpoolSelects", "StateActorCodeCIDs", "SyncState"}

    def answer(self, method: str, params: list[Any]) -> Any:
        """Carry out one call.  Raises Refusal."""
        try:
            return super().answer(method, params)
        except Refusal as refusal:
            if refusal.code == -32601:
                raise Refusal("Method not found", refusal.code) from None
            raise Refusal(
                str(refusal), min(refusal.code, INTERNAL) if refusal.code < 0 else INTERNAL
            ) from None

    def _tipset(self, key: list[dict[str, str]]) -> Tipset:
        if key and key[0]["/"] not in self.tipsets:
            raise Refusal("Key for header not found")
        return super()._tipset(key)

    def do_ChainGetTipSet(self, key: list[dict[str, str]]) -> Any:
        return self._tipset(key).as_json()

    def do_ChainGetParentMessages(self, cid: dict[str, str]) -> Any:
        executed = super().do_ChainGetParentMessages(cid)
        for signed in self.beside if executed else ():
            executed.append({"Cid": {"/": str(signed.cid)}, "Message": message_to_json(signed.message)})
        return executed

    def do_ChainGetParentReceipts(self, cid: dict[str, str]) -> Any:
        return [self._receipt() for _ in super().do_ChainGetParentMessages(cid)]

    def do_StateGetActor(self, address: str, key: list[dict[str, str]]) -> Any:
        self._tipset(key)
        try:
            return super().do_StateGetActor(address, key)
        except Refusal:
            return None

    def do_MpoolGetNonce(self, address: str) -> Any:
        if address not in self.balances:
            raise Refusal(f"Actor not found: addr={address}")
        return super().do_MpoolGetNonce(address)

    def do_MpoolPush(self, body: dict[str, Any]) -> Any:
        try:
            return super().do_MpoolPush(body)
        except Refusal as refusal:
            text = next((own for end, own in PUSH_WORDS.items() if str(refusal).endswith(end)), str(refusal))
            raise Refusal(text) from None

    def do_GasEstimateMessageGas(self, body: Any, spec: Any, key: Any, prior: Sequence[Message] = ()) -> Any:
        self._tipset(key)
        for member in () if spec is None else ("MaxFee", "MsgUuid", "MaximizeFeeCap"):
            if member not in spec:  # serde, whose members without a default are required
                raise Refusal("error deserializing parameter", -32602)
        return super().do_GasEstimateMessageGas(body, spec, key, prior)

    def do_StateSearchMsg(self, key: Any, cid: dict[str, str], limit: int, replaced: bool) -> Any:
        try:
            return super().do_StateSearchMsg(key, cid, limit, replaced)
        except Refusal:
            raise Refusal(f"failed to load message Invalid tipset: {cid['/']}") from None

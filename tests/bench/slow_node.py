"""A node that takes its time: what proofs of windows ask of a chain, each call after so many milliseconds.

As a real node does, it works off the calls of one request one after the other, and several requests at the
same time.  A process of its own, so that what it costs is not the pool's; on bare sockets, to cost little.
Run: python -m tests.bench.slow_node MILLISECONDS  (it prints its port)
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import sys
from typing import Any, Final

from poolsite.filecoin.bitfield import bitfield_from_json, bitfield_of, bitfield_to_json
from poolsite.filecoin.cids import cid_of_cbor, commr_cid

SECTORS: Final = (1, 2)
"""In the only partition of each deadline."""
DEADLINES: Final = 48
MINER_CODE: Final = str(cid_of_cbor(b"storageminer"))


class SlowNode:
    """Answers, and counts what it is asked."""

    def __init__(self, call_s: float) -> None:
        self.call_s = call_s
        self.calls = self.requests = 0
        self.hangs: set[str] = set()
        """Miners about whom no call is answered."""
        runs, none = bitfield_to_json(bitfield_of(SECTORS)), bitfield_to_json(bitfield_of(()))
        fields = dict.fromkeys(("AllSectors", "LiveSectors", "ActiveSectors"), runs)
        self.partitions = [{**fields, "FaultySectors": none, "RecoveringSectors": none}]
        self.deadlines = [{"PostSubmissions": none, "DisputableProofCount": 0}] * DEADLINES

    def answer(self, method: str, params: list[Any]) -> Any:
        """Return the answer to one call."""
        match method.partition(".")[2]:
            case "StateMinerPartitions":
                return self.partitions
            case "StateMinerDeadlines":
                return self.deadlines
            case "StateMinerSectors":
                return [
                    {
                        "SealedCID": {"/": str(commr_cid(bytes(31) + bytes([number])))},
                        "SectorNumber": number,
                        "SealProof": 8,
                    }
                    for number in bitfield_from_json(params[1])
                ]
            case "StateGetRandomnessFromBeacon" | "StateGetRandomnessFromTickets":
                drawn = hashlib.blake2b(json.dumps(params[:3]).encode(), digest_size=32).digest()
                return base64.b64encode(drawn).decode()
            case "StateGetActor":
                code = {"/": MINER_CODE}
                return {"Code": code, "Head": code, "Nonce": 0, "Balance": "1"}
            case "StateActorCodeCIDs":
                return {"storageminer": {"/": MINER_CODE}}
            case "Counts":
                return {"calls": self.calls, "requests": self.requests}
            case "Reset":
                self.calls = self.requests = 0
                self.call_s, self.hangs = params[0], set(params[1])
                return None
        raise KeyError(method)

    async def carry_out(self, call: dict[str, Any]) -> dict[str, Any]:
        """Work off one call."""
        method, params = call["method"], call.get("params") or []
        if not method.startswith("Bench."):
            self.calls += 1
            hangs = bool(params) and params[0] in self.hangs
            await asyncio.sleep(3600 if hangs else self.call_s)
        head = {"jsonrpc": "2.0", "id": call["id"]}
        try:
            return {**head, "result": self.answer(method, params)}
        except KeyError:
            return {**head, "error": {"code": -32601, "message": f"method '{method}' not found"}}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
                body = json.loads(await reader.readexactly(length))
                self.requests += 1
                found: Any
                if isinstance(body, list):
                    found = [await self.carry_out(call) for call in body]
                else:
                    found = await self.carry_out(body)
                content = json.dumps(found).encode()
                start = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                writer.write(start % len(content) + content)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def main(call_s: float) -> None:
    """Listen, print the port, and answer until killed."""
    node = SlowNode(call_s)
    server = await asyncio.start_server(node.serve, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) / 1000))

"""The world of a round of blocks on one port: node, auth and gateway, all of which answer at once.

For any program that makes blocks as venus' do: JSON-RPC by POST and over WebSockets, auth by GET.  A process
of its own, so that what it costs is not the program's; it notes when each round began and ended at the node.
Written on bare sockets: a web framework would be most of what is measured.
Run: python -m tests.bench.block_world  (it prints its port)
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import sys
import time
from dataclasses import replace
from typing import Any, Final

from poolsite.devnet.node import Devnet
from poolsite.filecoin.block import BlockHeader
from poolsite.filecoin.keys import KEY_BLS, KeyInfo, key_address, key_generate, key_sign
from poolsite.filecoin.randomness import draw_randomness
from poolsite.filecoin.tipset import tipset_new, tipset_to_json
from workers.signer.payloads import _text_map

MINERS: Final = 200
FIRST_MINER: Final = 30_000
NETWORK_VERSION: Final = 27
EPOCH_S: Final = 4
"""sophon-miner looks for a new head after so long, where it has mined on the one that it knows."""
PAST_S: Final = 600
"""Age of the heads: a block's time has come, so that nobody waits to submit."""
STEP: Final = 10
"""Epochs between two heads: nobody's parent is a block of their own."""
USER: Final = "bench"
API_VERSION: Final = 131840
"""2.3.0."""
ACCEPT: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


def worker_key() -> KeyInfo:
    """Return the one worker key that all the miners have."""
    return key_generate(KEY_BLS, random_bytes=lambda size: bytes([7]) * size)


class World:
    """What the node, auth and gateway know."""

    def __init__(self, key: KeyInfo, header: BlockHeader) -> None:
        self.key = key
        self.header = header
        self.worker = str(key_address(key))
        self.height = 1000
        self.first = self.last = 0.0
        self.blocks: set[str] = set()
        self.tipset: Any = None
        self.base_infos: Any = None
        self.arm()

    def arm(self) -> int:
        """Begin a new round: give the chain a new head, forget the last round."""
        self.height += STEP
        header = replace(self.header, height=self.height, timestamp=int(time.time()) - PAST_S)
        self.tipset = tipset_to_json(tipset_new([header]))
        entry = self.beacon(self.height + 1)
        sector = {"SealProof": 5, "SectorNumber": 1, "SectorKey": None, "SealedCID": self.tipset["Cids"][0]}
        self.base_infos = {
            "MinerPower": str(1 << 40),
            "NetworkPower": str(1 << 40),
            "Sectors": [sector],
            "WorkerKey": self.worker,
            "SectorSize": 2048,
            "PrevBeaconEntry": entry,
            "BeaconEntries": [entry],
            "EligibleForMining": True,
        }
        self.first = self.last = 0.0
        self.blocks = set()
        return self.height

    def seen(self) -> dict[str, float]:
        """Tell of the round: blocks, first base info to last block, time since then; our CPU time."""
        now = time.monotonic()
        return {
            "blocks": len(self.blocks),
            "seconds": self.last - self.first,
            "still": now - self.last if self.last else 0.0,
            "cpu": time.process_time(),
        }

    def beacon(self, epoch: int) -> Any:
        """Return the randomness of an epoch."""
        return {"Round": epoch, "Data": base64.b64encode(bytes([epoch % 251]) * 96).decode()}

    def answer(self, method: str, params: list[Any]) -> Any:
        """Carry out one call."""
        return getattr(self, "do_" + method.partition(".")[2])(*params)

    # The bench

    def do_Arm(self) -> Any:
        return self.arm()

    def do_Seen(self) -> Any:
        return self.seen()

    # The node

    def do_Version(self) -> Any:
        return {"Version": "bench", "APIVersion": API_VERSION, "BlockDelay": EPOCH_S}

    def do_StateNetworkName(self) -> Any:
        return "bench"

    def do_StateGetNetworkParams(self) -> Any:
        return {"NetworkName": "bench", "BlockDelaySecs": EPOCH_S}

    def do_StateNetworkVersion(self, _key: Any) -> Any:
        return NETWORK_VERSION

    def do_StateGetBeaconEntry(self, epoch: int) -> Any:
        return self.beacon(epoch)

    def do_StateMinerInfo(self, _miner: str, _key: Any) -> Any:
        return {"Owner": self.worker, "Worker": self.worker, "WindowPoStProofType": 5, "SectorSize": 2048}

    def do_StateMinerDeadlines(self, _miner: str, _key: Any) -> Any:
        return []

    def do_SyncState(self) -> Any:
        return {"ActiveSyncs": [], "VMApplied": 0}

    def do_ChainHead(self) -> Any:
        return self.tipset

    def do_MinerGetBaseInfo(self, _miner: str, _epoch: int, _key: Any) -> Any:
        if not self.first:
            self.first = time.monotonic()
        return self.base_infos

    def do_MpoolSelects(self, _key: Any, qualities: list[float]) -> Any:
        return [[] for _ in qualities]

    def do_MinerCreateBlock(self, template: Any) -> Any:
        header = {
            **self.tipset["Blocks"][0],
            "Miner": template["Miner"],
            "Ticket": template["Ticket"],
            "ElectionProof": template["Eproof"],
            "BeaconEntries": template["BeaconValues"],
            "WinPoStProof": template["WinningPoStProof"],
            "Parents": template["Parents"],
            "Height": template["Epoch"],
            "Timestamp": template["Timestamp"],
            "BlockSig": None,
        }
        return {"Header": header, "BlsMessages": [], "SecpkMessages": []}

    def do_SyncSubmitBlock(self, block: Any) -> None:
        if block["Header"]["Height"] == self.height + 1 and block["Header"]["BlockSig"]:
            self.last = time.monotonic()
            self.blocks.add(block["Header"]["Miner"][1:])

    # The gateway

    def do_WalletSign(self, _worker: str, _accounts: list[str], to_sign: str, meta: Any) -> Any:
        payload = base64.b64decode(to_sign)
        if meta["Type"] != "block":  # what draws randomness is hashed first
            params = _text_map(payload)
            payload = draw_randomness(params["Rbase"], params["Pers"], params["Round"], params["Entropy"])
        signature = key_sign(self.key, payload)
        return {"Type": signature.type, "Data": base64.b64encode(signature.data).decode()}

    def do_ComputeProof(self, *_: Any) -> Any:
        return [{"PoStProof": 0, "ProofBytes": base64.b64encode(bytes(192)).decode()}]

    # Auth

    def get(self, path: str) -> Any:
        """Answer auth's two questions: users, and the miners of ours."""
        if path.startswith("/user/list"):
            return [{"id": USER, "name": USER, "comment": "", "state": 1, "createTime": 0, "updateTime": 0}]
        return [
            {"Miner": f"f0{FIRST_MINER + number}", "User": USER, "OpenMining": True}
            for number in range(MINERS)
        ]


class Door(asyncio.Protocol):
    """One connection: HTTP/1.1, or a WebSocket once it was asked for."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.transport: Any = None
        self.buffer = bytearray()
        self.parts = bytearray()
        """Of a message that comes in several frames."""
        self.is_socket = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while self.frame_read() if self.is_socket else self.request_read():
            pass

    def called(self, text: bytes | bytearray) -> bytes:
        """Answer a JSON-RPC request; a notification has no answer."""
        request = json.loads(text)
        if "id" not in request:
            return b""
        body = {"jsonrpc": "2.0", "id": request["id"]}
        try:
            body["result"] = self.world.answer(request["method"], request.get("params") or [])
        except Exception as error:  # noqa: BLE001  # the caller's log is where it is read
            body["error"] = {"code": 1, "message": f"{request['method']}: {error!r}"}
        return json.dumps(body, separators=(",", ":")).encode()

    def request_read(self) -> bool:
        """Work off one HTTP request, if the whole of it has come."""
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        first, *lines = bytes(self.buffer[:end]).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        if len(self.buffer) < end + 4 + length:
            return False
        body = bytes(self.buffer[end + 4 : end + 4 + length])
        del self.buffer[: end + 4 + length]
        method, path, _ = first.split(" ")
        if headers.get("upgrade", "").lower() == "websocket":
            digest = hashlib.sha1(
                headers["sec-websocket-key"].encode() + ACCEPT, usedforsecurity=False
            ).digest()
            accept = base64.b64encode(digest).decode()
            head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            self.transport.write(f"{head}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())
            self.is_socket = True
            return True
        content = json.dumps(self.world.get(path)).encode() if method == "GET" else self.called(body)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        self.transport.write(head.encode() + content)
        return True

    def frame_read(self) -> bool:
        """Work off one frame of a client, if the whole of it has come.  Source: RFC 6455, 5.2."""
        if len(self.buffer) < 6:
            return False
        first, size, at = self.buffer[0], self.buffer[1] & 0x7F, 2
        if size > 125:
            at = 4 if size == 126 else 10
            size = int.from_bytes(self.buffer[2:at], "big")
        if len(self.buffer) < at + 4 + size:
            return False
        mask = bytes(self.buffer[at : at + 4])
        data = self.buffer[at + 4 : at + 4 + size]
        del self.buffer[: at + 4 + size]
        whole = int.from_bytes(data, "big") ^ int.from_bytes((mask * (size // 4 + 1))[:size], "big")
        payload, code = whole.to_bytes(size, "big"), first & 0x0F
        if code == CLOSE:
            self.transport.close()
            return False
        if code == PING:
            self.frame_send(PONG, payload)
        elif code != PONG:
            self.parts += payload
            if first & 0x80:
                content = self.called(self.parts)
                self.parts.clear()
                if content:
                    self.frame_send(TEXT, content)
        return True

    def frame_send(self, code: int, payload: bytes) -> None:
        """Send one frame."""
        size = len(payload)
        if size < 126:
            head = bytes([0x80 | code, size])
        elif size < 1 << 16:
            head = bytes([0x80 | code, 126]) + size.to_bytes(2, "big")
        else:
            head = bytes([0x80 | code, 127]) + size.to_bytes(8, "big")
        self.transport.write(head + payload)


async def main() -> None:
    """Serve until we are ended."""
    chain = Devnet(":memory:", network="test")
    world = World(worker_key(), chain.mine_one().blocks[0])
    chain.close()
    server = await asyncio.get_running_loop().create_server(lambda: Door(world), "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())

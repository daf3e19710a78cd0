"""Settings that make the devnet misbehave on purpose; all are off until an admin sets them.

Faults stay within the chain's rules: forks are made of valid blocks, base fees rise because blocks
are full.  Only the node itself lies: it answers late or wrongly, forgets messages, says it is out of sync.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from poolsite.filecoin.message import signed_message_to_cbor
from poolsite.wire.jsonrpc.messages import RpcError

if TYPE_CHECKING:
    from poolsite.devnet.store import Store
    from poolsite.filecoin.message import SignedMessage


@dataclass(slots=True)
class FaultSettings:
    """What may be set; the JSON names are the same in camel case."""

    lag_ms: int = 0
    """Delay of every answer."""
    jitter_ms: int = 0
    """Random part on top of the delay."""
    lag_methods: str = ""
    """Pattern of methods that the delay holds up; all if empty."""
    stall_randomness: bool = False
    """Questions for randomness wait until it is turned off."""
    beacon_late_ms: int = 0
    """How much of the chain's time each epoch's random value comes late."""
    error_methods: str = ""
    """Pattern of methods (full names) that answer with an error."""
    error_share: float = 1.0
    """Share of those calls that fail."""
    error_code: int = 1
    error_text: str = "injected error"
    garbage_methods: str = ""
    """Pattern of methods whose result is nonsense."""
    drop_share: float = 0.0
    """Share of pushed messages that are accepted and forgotten."""
    drop_next: int = 0
    """Coming pushed messages that are accepted and forgotten."""
    hide_messages: bool = False
    """Blocks of the built-in miner leave pending messages out."""
    inclusion_delay: int = 0
    """Epochs for which a new message is left out."""
    null_left: int = 0
    """Coming epochs in which the built-in miner keeps still."""
    withhold_post: bool = False
    """The built-in miner leaves its WindowPoSt away."""
    lose_sector: bool = False
    """The built-in miner cannot read its sector: it declares it faulty, and recovers it afterwards."""
    flap_left: int = 0
    """Coming tipsets that a heavier fork replaces as soon as they are there."""
    spike_left: int = 0
    """Coming epochs in which the built-in miner fills its blocks, so that the base fee rises."""
    base_fee_floor: int = 0
    """attoFIL below which the built-in miner does not let the base fee fall: it fills blocks."""
    behind: int = 0
    """Epochs by which the node says it lags."""
    freeze_head: bool = False
    """The node goes on showing the head that it had."""
    network_name: str = ""
    """Another name to give for the network."""
    duplicate_notifications: bool = False
    """Every frame of ChainNotify comes twice."""


MINING: Final = ("auto", "on-demand", "paused")


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


NAMES = {_camel(field.name): field.name for field in dataclasses.fields(FaultSettings)}


RANDOMNESS: Final = re.compile("Randomness|BeaconEntry|BeaconGetEntry|MinerGetBaseInfo")
"""Methods that need the chain's random values."""
BEACON: Final = re.compile("BeaconEntry|BeaconGetEntry|MinerGetBaseInfo")
"""Methods that need the newest."""
STALL_S: Final = 60.0
STALL_STEP_S: Final = 0.05
"""How long questions for randomness wait at most, and how often they look."""


class BadFault(ValueError):
    """A fault that does not exist, or a value that it cannot have."""


class Faults:
    """The settings of one node and their effects."""

    def __init__(
        self, store: Store, freeze: Callable[[bool], None], *, wall_seconds: Callable[[float], float] = float
    ) -> None:
        """`freeze` holds the head that is shown, or lets it go on; `wall_seconds` scales chain time."""
        self.wall_seconds = wall_seconds
        self.store = store
        self.freeze = freeze
        self.settings = FaultSettings()
        self.mining = "auto"
        """One of MINING: by the clock; as soon as there are messages; only by `Devnet.Mine` and the like."""
        self.connections: set[Any] = set()
        """Open WebSockets."""
        self.rng = random.Random(0)  # noqa: S311  # faults, not secrets
        self._arrived: dict[bytes, int] = {}

    def to_json(self) -> dict[str, Any]:
        """All settings."""
        values = {name: getattr(self.settings, attr) for name, attr in NAMES.items()}
        return values | {"mining": self.mining}

    def set_json(self, settings: Any) -> None:
        """Turn some settings.  Raises BadFault; then none is turned."""
        if not isinstance(settings, dict):
            raise BadFault("faults must be an object")
        changes: dict[str, Any] = {}
        mining = settings.get("mining", self.mining)
        if mining not in MINING:
            raise BadFault("mining must be auto, on-demand or paused")
        for name, value in settings.items():
            if name != "mining":
                attr = self._attr(name)
                changes[attr] = self._value(name, value)
        self.settings = dataclasses.replace(self.settings, **changes)
        self.mining = mining
        self.freeze(self.settings.freeze_head)

    def _attr(self, name: str) -> str:
        if name not in NAMES:
            raise BadFault(f"unknown fault {name!r}")
        return NAMES[name]

    def _value(self, name: str, value: Any) -> Any:
        old = getattr(FaultSettings(), NAMES[name])
        is_number = isinstance(old, float) and isinstance(value, int) and not isinstance(value, bool)
        if type(value) is not type(old) and not is_number:
            raise BadFault(f"{name} must be a {type(old).__name__}")
        if isinstance(value, int | float) and value < 0 and name != "errorCode":
            raise BadFault(f"{name} must not be negative")
        if name.endswith("Methods"):
            try:
                re.compile(value)
            except re.error as error:
                raise BadFault(f"{name}: {error}") from None
        return value

    def reset(self) -> None:
        """Turn all settings off."""
        self.settings = FaultSettings()
        self.mining = "auto"
        self.freeze(False)

    async def before_answer(self, method: str) -> None:
        """Wait and fail as the settings say.  Raises RpcError."""
        settings = self.settings
        if method.startswith("Devnet."):
            return
        if settings.stall_randomness and RANDOMNESS.search(method):
            await self._stalled()
        if settings.beacon_late_ms and BEACON.search(method):
            await asyncio.sleep(self.wall_seconds(settings.beacon_late_ms / 1000))
        if (settings.lag_ms or settings.jitter_ms) and re.search(settings.lag_methods, method):
            await asyncio.sleep((settings.lag_ms + self.rng.random() * settings.jitter_ms) / 1000)
        hits = settings.error_methods and re.search(settings.error_methods, method)
        if hits and self.rng.random() < settings.error_share:
            raise RpcError(settings.error_text, code=settings.error_code)

    async def _stalled(self) -> None:
        """Wait until randomness flows again.  Raises RpcError after a while."""
        for _ in range(int(STALL_S / STALL_STEP_S)):
            if not self.settings.stall_randomness:
                return
            await asyncio.sleep(STALL_STEP_S)
        raise RpcError("context deadline exceeded")

    @property
    def beacon_late_s(self) -> float:
        """Chain seconds by which random values come late."""
        return self.settings.beacon_late_ms / 1000

    def distorted(self, method: str, result: Any) -> Any:
        """Return the result, or nonsense."""
        pattern = self.settings.garbage_methods
        if pattern and not method.startswith("Devnet.") and re.search(pattern, method):
            return {"garbage": [self.rng.randrange(1 << 30)]}
        return result

    def consume_null_round(self) -> bool:
        """Return whether the coming epoch shall be a null round."""
        if self.settings.null_left:
            self.settings.null_left -= 1
            return True
        return False

    def flaps(self) -> bool:
        """Return whether the new tipset shall be replaced at once."""
        if self.settings.flap_left:
            self.settings.flap_left -= 1
            return True
        return False

    def visible(self, pending: list[SignedMessage], epoch: int) -> list[SignedMessage]:
        """Return the messages that the block of an epoch may take."""
        if self.settings.hide_messages:
            return []
        if not self.settings.inclusion_delay:
            self._arrived.clear()
            return pending
        names = {signed.cid.data for signed in pending}
        self._arrived = {name: at for name, at in self._arrived.items() if name in names}
        for name in names:
            self._arrived.setdefault(name, epoch)
        delay = self.settings.inclusion_delay
        return [signed for signed in pending if epoch - self._arrived[signed.cid.data] >= delay]

    def forgets(self, signed: SignedMessage) -> bool:
        """Return whether a pushed message is accepted and forgotten."""
        self.store.messages_put([(signed.cid.data, signed_message_to_cbor(signed))])
        if self.settings.drop_next:
            self.settings.drop_next -= 1
            return True
        return self.settings.drop_share > 0 and self.rng.random() < self.settings.drop_share

    def drop_connections(self) -> int:
        """Break all WebSockets; returns how many."""
        connections = list(self.connections)
        for connection in connections:
            connection.drop()
        return len(connections)

    def repeated(self, send: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return a sender of notifications that repeats itself if it is set so."""

        def twice(value: Any) -> None:
            send(value)
            if self.settings.duplicate_notifications:
                send(value)

        return twice

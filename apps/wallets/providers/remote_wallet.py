"""A remote wallet, to which the pool connects, as a provider of the gateway: its keys are proved, then sign.

What the gateway would send through a signer's channel is called on the wallet by JSON-RPC instead.
Source: filecoin-project/lotus api/api_wallet.go; filecoin-project/venus venus-shared/api/wallet.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPException
from typing import Final

import structlog
from django.conf import settings
from django.db import Error as DatabaseError

from apps.chain.node.connections import Connections
from apps.chain.node.public_hosts import PublicConnections
from apps.core import clock
from apps.core.connection_faults import fault_text
from apps.core.database_threads import in_database, in_steady
from apps.core.marked_texts import gettext
from apps.core.reasons import Reason, as_reason, refused
from apps.gateway.errors import NoAnswer, ProviderRefused
from apps.gateway.hub.activity import Meter
from apps.gateway.providers.hub_node import HubNode
from apps.gateway.providers.payloads import Json, pack
from apps.gateway.providers.wallet import REGISTER_S, VERIFY_ADDRESS, WalletProvider
from apps.users.rules.encryption import DecryptionFailed, text_decrypt
from apps.users.rules.principals import Principal
from apps.users.states import Perm
from apps.wallets.models import RemoteWallet
from apps.wallets.reasons import UNPROVEN, UNREGISTERED
from apps.wallets.services.remote_wallets import remote_wallet_note, remote_wallets_acquire
from apps.wallets.services.signed_ids import UNKNOWN_EVENT

log = structlog.get_logger(__name__)

LIST_EVERY_S: Final = 15.0
"""Between two lists of a wallet's keys: it does not tell of new ones, nor that it is online again."""
HOLD_EVERY_S: Final = 4.0
CONNECT_S: Final = 5.0
ANSWER_S: Final = 30.0
"""A locked or busy wallet takes long for a signature; a request has its own time as well."""
CALLS_AT_ONCE: Final = 8
"""Calls that one wallet gets at a time, in threads of its own: one that hangs holds up no other."""
PARAMETERS: Final = {"WalletList": (), "WalletSign": ("Signer", "ToSign", "Meta")}
"""By method, the members of the gateway's payload that become the call's parameters."""
REFUSED_S: Final = 10.0


class RemoteWalletProvider(WalletProvider):
    """One remote wallet."""

    def __init__(self, hub: HubNode, row: RemoteWallet) -> None:
        principal = Principal(
            tenant_id=row.tenant_id,
            tenant_name=row.tenant.name,
            is_operator=False,
            perm=Perm.SIGN,
            actor=f"remote wallet {row.name}",
            source=row.url[:64],
        )
        super().__init__(hub, principal, supported=[], sign_bytes=b"")
        self.row = row
        self.error: Reason | str = ""
        self.threads = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix=f"wallet-{row.pk}")
        kind = Connections if row.is_private else PublicConnections
        headers = {"User-Agent": "Poolsite", "Content-Type": "application/json"}
        if token := text_decrypt(row.token):
            headers["Authorization"] = f"Bearer {token}"
        self.connections = kind(row.url, headers, answer_max=settings.PROVIDER_RESPONSE_MAX_BYTES)

    async def run(self) -> None:
        """Serve until cancelled: list the keys again and again, and have new ones prove themselves."""
        self.hub.start()
        try:
            await self.request("WalletList", None, time.time() + REGISTER_S)
            await self.register()
            while self.is_open:
                await self.note()
                await asyncio.sleep(LIST_EVERY_S)
                await self.keys_follow()
            self.error = self.error or UNREGISTERED()
        except (NoAnswer, ProviderRefused) as error:
            self.error = refused(error)
        finally:
            self.is_open = False  # nothing more is given to its threads
            self.threads.shutdown(wait=False, cancel_futures=True)
            self.connections.close()
            await asyncio.shield(self.close())
        await self.note()
        await asyncio.sleep(REFUSED_S)

    async def keys_follow(self) -> None:
        """Add the keys that the wallet lists newly, and remove those that it no longer lists.

        If it fails to list them twice in a row, the connection ends, as a broken channel does: its keys do
        not count as served then.
        """
        try:
            listed = await self.request("WalletList", None, time.time() + REGISTER_S)
        except (NoAnswer, ProviderRefused) as error:
            if self.error:
                await self.end()
            self.error = refused(error)
            return
        self.error = ""
        names = [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []
        new = [one for one in names if f"f{one[1:]}" not in self.addresses]
        removed = [one for one in self.addresses if one not in {f"f{name[1:]}" for name in names}]
        with contextlib.suppress(NoAnswer, ProviderRefused):
            if removed:
                await self.addresses_remove(removed)
            if new:
                await self.addresses_add(new)

    async def note(self) -> None:
        """Store the wallet's connection and error."""
        unproven = ", ".join(sorted(self.refused))
        error = self.error or (UNPROVEN(keys=unproven) if unproven else "")
        with contextlib.suppress(DatabaseError):
            await in_steady(
                remote_wallet_note,
                pk=self.row.pk,
                connection=self.id,
                error=error,
                has_answered=not self.error,
                now=clock.now(),
            )

    async def refused_retry(self) -> None:
        """Retry nothing here: the next list has keys prove themselves again."""

    async def prove(
        self, text: Json, until: float, *, meter: Meter | None = None, meta_type: str = VERIFY_ADDRESS
    ) -> str:
        """Verify one key by a signature, as `WalletProvider`.

        venus-wallet signs a challenge only for a gateway that it connected to: the same bytes are signed as
        type "unknown" then.
        """
        try:
            return await super().prove(text, until, meter=meter, meta_type=meta_type)
        except ProviderRefused:
            return await super().prove(text, until, meter=meter, meta_type="unknown")

    async def event_send(self, method: str, payload: Json, key: str = "") -> None:
        """Call the wallet instead of sending an event.  Raises NoAnswer once this is closed."""
        if not self.is_open:
            raise NoAnswer("channel closed")
        if method == "InitConnect":
            return
        if method not in PARAMETERS:
            self.respond({"id": key, "error": f"{UNKNOWN_EVENT} {method}"})  # as venus-wallet at a gateway
            return
        work = partial(self.call, key, method, [payload[name] for name in PARAMETERS[method]])
        future = asyncio.get_running_loop().run_in_executor(self.threads, work)
        self.hub.spawn(self.answer(future, key))

    async def answer(self, future: asyncio.Future[dict[str, Json]], key: str) -> None:
        """Deliver the wallet's response."""
        try:
            self.respond({"id": key, **await future})
        except (OSError, HTTPException, ValueError) as error:
            waiting = self.pending.futures.get(key)
            if waiting is not None and not waiting.done():
                text = gettext("{url} does not respond: {error}")
                waiting.set_exception(NoAnswer(text.format(url=self.row.url, error=fault_text(error))[:300]))

    def call(self, key: str, method: str, params: list[Json]) -> dict[str, Json]:
        """Return a call's answer as a provider's response.  Raises OSError, HTTPException, ValueError."""
        if key not in self.pending.futures:
            return {}  # whoever asked gave up while it waited for a thread
        body = json.dumps(
            {"jsonrpc": "2.0", "id": 1, "method": f"Filecoin.{method}", "params": params}
        ).encode()
        try:
            status, data = self.connections.post(body, connect_s=CONNECT_S, answer_s=ANSWER_S)
        finally:
            if not self.is_open:
                self.connections.close()  # it came back after they were closed
        if status in (401, 403):
            return {"error": gettext("the wallet refuses the token (HTTP {status})").format(status=status)}
        answer = json.loads(data)
        if not isinstance(answer, dict):
            raise ValueError(gettext("the response is no JSON-RPC object"))  # as for bad JSON
        error = answer.get("error")
        if error:
            return {"error": str(error.get("message") if isinstance(error, dict) else error) or "refused"}
        return {"payload": pack(answer.get("result"))}


async def remote_wallets_serve(hub: HubNode) -> None:
    """Keep connections to the remote wallets that no other process is connected to; never returns."""
    serving: dict[int, tuple[object, asyncio.Task[None]]] = {}
    while True:
        try:
            held = {row.pk: row for row in await in_database(remote_wallets_acquire, process=hub.name)}
            for pk, (version, task) in list(serving.items()):
                if pk not in held or held[pk].updated_at != version or task.done():
                    task.cancel()
                    del serving[pk]
            for pk in held.keys() - serving.keys():
                row = held[pk]
                serving[pk] = (row.updated_at, asyncio.create_task(remote_wallet_serve(hub, row)))
        except DatabaseError as error:
            log.warning("remote_wallets_not_held", reason=str(error)[:200])
        await asyncio.sleep(HOLD_EVERY_S)


async def remote_wallet_serve(hub: HubNode, row: RemoteWallet) -> None:
    """Keep a connection to one wallet; store why there is none."""
    try:
        await RemoteWalletProvider(hub, row).run()
    except DecryptionFailed as error:
        now = clock.now()
        await in_steady(
            remote_wallet_note,
            pk=row.pk,
            connection=None,
            error=as_reason(str(error)),
            has_answered=False,
            now=now,
        )
        await asyncio.sleep(REFUSED_S)

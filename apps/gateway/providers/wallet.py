"""A signer at the other end of a channel: it proves each of its keys, then signs.

Source: ipfs-force-community/sophon-gateway walletevent/.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
import random
import time
from collections.abc import Sequence
from typing import Final

import structlog
from django.db import Error as DatabaseError
from redis.exceptions import RedisError

from apps.core.marked_texts import gettext
from apps.gateway.errors import AccountNotAgreed, NoAnswer, ProviderRefused
from apps.gateway.hub.activity import Meter
from apps.gateway.hub.client import hub_database
from apps.gateway.hub.routes import PROVE, wallet_route
from apps.gateway.providers.hub_node import HubNode
from apps.gateway.providers.payloads import Json
from apps.gateway.providers.provider import Provider
from apps.gateway.services.connections import (
    accounts_claim,
    accounts_set,
    keys_add,
    keys_remove,
    signer_connection_open,
)
from apps.users.rules.principals import Principal
from apps.users.selectors.approvals import accounts_refused
from apps.users.states import POOL
from poolsite.filecoin.address import BadAddress, address_parse
from poolsite.filecoin.kinds import BadField
from poolsite.filecoin.signature import BadSignature, signature_from_json, signature_verify
from poolsite.wire.key_labels import label_read

log = structlog.get_logger(__name__)

REGISTER_S: Final = 60.0
"""Time to prove a key: a wallet's first use of each costs it a scrypt."""
RETRY_S: Final = 10.0
"""Time between two tries of keys that could not sign."""
KEYS_MAX: Final = 1000
"""Keys that one connection may bring."""
VERIFY_ADDRESS: Final = "verifyaddress"
"""Type of the bytes that a key signs to prove itself, as venus-wallet names it."""
CHALLENGE: Final = os.urandom(32)
"""Our half of what a signer signs to prove a key, fixed per process; the other half is the signer's own."""


class WalletProvider(Provider):
    """A signer: proves each of its keys, then signs."""

    def __init__(
        self, hub: HubNode, principal: Principal, *, supported: Sequence[str], sign_bytes: bytes
    ) -> None:
        super().__init__(hub, principal)
        self.supported = list(supported)
        self.sign_bytes = sign_bytes
        self.addresses: set[str] = set()
        self.labels: dict[str, str] = {}
        """Labels of the keys at the signer; may be empty."""
        self.refused: dict[str, Json] = {}
        """Keys that could not sign when they were to prove themselves, as the wallet wrote them."""
        self.heartbeat_name = "signer" if principal.tenant_name == POOL else ""

    async def register(self) -> None:
        """Fetch the keys, verify each, and route requests to them."""
        try:
            self.accounts |= set(
                await hub_database(accounts_claim, principal=self.principal, names=self.supported)
            )
            await hub_database(
                signer_connection_open,
                uuid=self.id,
                principal=self.principal,
                accounts=sorted(self.accounts),
                process=self.hub.name,
                source=self.principal.source,
            )
            addresses = await self.request("WalletList", None, time.time() + REGISTER_S)
            await self.addresses_add(addresses if isinstance(addresses, list) else [])
            await self.event_send("InitConnect", {"ChannelId": self.id})
            log.info("signer_connected", channel=self.id, account=self.principal.tenant_name)
            await self.refused_retry()
        except (NoAnswer, ProviderRefused, RedisError, DatabaseError) as error:
            log.warning("signer_not_registered", account=self.principal.tenant_name, reason=str(error))
            await self.end()

    async def addresses_add(self, addresses: Sequence[Json]) -> None:
        """Verify keys; one that cannot sign is tried again later and the others serve.  Raises NoAnswer."""
        if len({*map(_canonical, addresses), *self.addresses}) > KEYS_MAX:
            raise ProviderRefused(gettext("a connection may hold at most {most} keys").format(most=KEYS_MAX))
        proved = [address for text in addresses if (address := await self.proved(text)) is not None]
        await hub_database(
            keys_add, connection_id=self.id, accounts=self.accounts, addresses=proved, labels=self.labels
        )
        self.addresses |= set(proved)
        self.routes |= {wallet_route(address) for address in proved}
        await self.route()
        await self.accounts_verify()

    async def refused_retry(self) -> None:
        """Verify again the keys that could not sign: a locked wallet does not say when it is unlocked.

        One of them at a time is tried, so that a locked wallet gets one request each time; then all.
        """
        while True:
            await asyncio.sleep(RETRY_S)
            waiting = list(self.refused.values())
            if not waiting:
                continue
            # It may not have answered in time, or have too many keys: tried again.
            with contextlib.suppress(NoAnswer, ProviderRefused):
                tried = random.choice(waiting)  # noqa: S311
                if await self.proved(tried, meter=Meter()) is not None:
                    await self.addresses_add(waiting)

    async def handle(self, method: str, payload: Json, until: float) -> Json:
        """Answer as any provider does, and prove a key once more."""
        if method != PROVE:
            return await super().handle(method, payload, until)
        try:
            return await self.prove(payload, until)
        except (BadAddress, BadField, BadSignature) as error:
            raise ProviderRefused(
                gettext("the response is not a valid signature of this key: {error}").format(error=error)
            ) from None

    async def prove(
        self, text: Json, until: float, *, meter: Meter | None = None, meta_type: str = VERIFY_ADDRESS
    ) -> str:
        """Verify one key by its signature of a challenge of both sides; returns its canonical address.

        Raises ProviderRefused, NoAnswer, BadAddress, BadField, BadSignature.
        """
        digest = hashlib.sha256(CHALLENGE + self.sign_bytes).digest()
        meta = {"Type": meta_type, "Extra": base64.b64encode(CHALLENGE).decode()}
        address = address_parse(text if isinstance(text, str) else "")
        payload = {"Signer": text, "ToSign": base64.b64encode(digest).decode(), "Meta": meta}
        answer = await self.request("WalletSign", payload, until, meter=meter)
        signature = signature_from_json(answer)
        await asyncio.to_thread(signature_verify, signature, address, digest)
        self.labels[str(address)] = label_read(answer)
        return str(address)

    async def proved(self, text: Json, *, meter: Meter | None = None) -> str | None:
        """Return the address of a key that proved itself, else None, with a line in the log at first."""
        name = _canonical(text)
        try:
            await self.prove(text, time.time() + REGISTER_S, meter=meter)
        except (ProviderRefused, BadAddress, BadField, BadSignature) as error:
            if name not in self.refused:
                log.warning(
                    "signer_key_refused",
                    account=self.principal.tenant_name,
                    address=name,
                    reason=str(error),
                )
            self.refused[name] = text
            return None
        self.refused.pop(name, None)
        return name

    async def addresses_remove(self, addresses: Sequence[str]) -> None:
        """Route no more requests to these keys."""
        for address in addresses:
            self.refused.pop(_canonical(address), None)
        removed = {address for address in addresses if address in self.addresses}
        self.addresses -= removed
        routes = {wallet_route(address) for address in removed}
        self.routes -= routes
        await self.hub.remove(self, routes)
        await hub_database(keys_remove, connection_id=self.id, addresses=sorted(removed))

    async def account_support(self, account: str) -> None:
        """Serve one more account, if it agreed.  Raises AccountNotAgreed if it did not."""
        allowed = await hub_database(accounts_claim, principal=self.principal, names=[account])
        if not allowed:
            raise AccountNotAgreed(
                gettext("account {account} has not agreed to be served by {tenant_name}").format(
                    account=account, tenant_name=self.principal.tenant_name
                )
            )
        self.accounts.add(account)
        await hub_database(accounts_set, connection_id=self.id, accounts=sorted(self.accounts))
        await hub_database(
            keys_add,
            connection_id=self.id,
            accounts=[account],
            addresses=self.addresses,
            labels=self.labels,
        )
        await self.route()
        await self.accounts_verify()

    async def accounts_verify(self) -> None:
        """End the channel if an account's approval was revoked before requests came here.

        Who revokes one ends the channels that have it; one that is being opened is not found yet.
        """
        names = self.accounts - {self.principal.tenant_name}
        if not names:
            return
        if refused := await hub_database(
            accounts_refused, signer_tenant_id=self.principal.own_id, names=names
        ):
            log.warning("signer_account_revoked", channel=self.id, accounts=sorted(refused))
            await self.end()


def _canonical(text: Json) -> str:
    """Return the form in which keys are compared: the address, or the beginning of what is none."""
    try:
        return str(address_parse(text if isinstance(text, str) else ""))
    except BadAddress:
        return str(text)[:120]

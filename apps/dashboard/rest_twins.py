"""For each page the REST request and the command that show or do the same."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode

from django.http import HttpRequest
from django.urls import ResolverMatch
from django.utils.dateparse import parse_datetime

from apps.history.states import Kind
from poolsite.command.acts import JSON, ROOT, Act, acts_read

TWINS: Final = {
    "alert": "GET alerts/{uuid}",
    "alert-channel-new": "POST alert-channels",
    "alerts": "GET alerts",
    "alerts-history": "GET alerts",
    "allocations": "GET allocations",
    "approval-rule-new": "POST approval-rules",
    "approvals": "GET approval-rules",
    "audit": "GET audit",
    "auto-rule": "GET auto-rules/{uuid}",
    "auto-rule-new": "POST auto-rules",
    "automation": "GET auto-rules",
    "chain": "GET chain/nodes",
    "chain-node-new": "POST chain/nodes",
    "charges": "GET charges",
    "check-settings": "PATCH checks/{name}",
    "checks": "GET checks",
    "claims": "GET claims",
    "claims-extend": "POST claims:extend",
    "client": "GET clients/{address}",
    "clients": "GET clients",
    "consoles": "GET consoles",
    "deal": "GET deals/{uuid}",
    "deals": "GET deals",
    "gas": "GET gas",
    "gas-auto-bump": "GET gas/auto-bump",
    "gas-guard-new": "POST gas/guards",
    "gas-rules": "GET gas/guards",
    "host": "GET workers/{uuid}",
    "host-drives": "POST workers/{uuid}/drives:reset",
    "host-leftovers": "GET workers/{uuid}/leftovers",
    "host-retire": "GET workers/{uuid}",
    "host-setting": "PUT workers/{uuid}/settings",
    "host-settings": "GET host-settings",
    "hosts": "GET workers",
    "message": "GET messages/{id}",
    "message-approve": "GET messages/{id}/approval",
    "message-cancel": "POST messages/{id}/cancel",
    "message-compose": "POST messages",
    "message-replace": "POST messages/{id}/replace",
    "messages": "GET messages",
    "messages-failures": "GET message-failures",
    "miner": "GET miners/{address}",
    "miner-addresses": "GET miners/{address}/addresses",
    "miner-adopt": "GET miners/{address}/adoptions",
    "miner-batches": "GET miners/{address}/batches",
    "miner-batches-send": "POST miners/{address}/batches/send",
    "miner-market": "GET miners/{address}/market",
    "miner-money": "GET miners/{address}/money",
    "miner-new": "POST miners",
    "miner-pieces-seal": "POST miners/{address}/pieces/seal",
    "miner-proving-settings": "PATCH miners/{address}/proving",
    "miner-roles": "GET miners/{address}/roles",
    "miner-senders": "GET miners/{address}/senders",
    "miner-target": "PUT miners/{address}/target",
    "miner-timeline": "GET miners/{address}/timeline",
    "miner-transfer": "POST miners/{address}/transfer",
    "miner-withdraw": "POST miners/{address}/withdrawals",
    "miners": "GET miners",
    "money": "GET money/sums",
    "multisigs": "GET multisigs",
    "offline": "GET offline-keys",
    "offline-key-new": "POST offline-keys",
    "pieces": "GET pieces",
    "planner": "GET planner",
    "policy": "GET wallets/{address}/policy",
    "policy-version": "GET wallets/{address}/policy/versions/{number}",
    "proving-compact": "POST miners/{address}/deadlines/{index}/compact",
    "proving-deadline": "GET miners/{address}/deadlines/{index}",
    "proving-settings": "GET proving/settings",
    "recovery": "GET recovery",
    "remote-wallet-new": "POST remote-wallets",
    "sealing": "GET sealing",
    "sector": "GET sectors/{uuid}",
    "sector-chain": "GET sectors/{uuid}",
    "sector-abort": "POST sectors/{uuid}/abort",
    "sector-rebuild": "POST sectors/{uuid}/rebuild",
    "sector-restore": "POST sectors/{uuid}/restore",
    "sector-retry": "POST sectors/{uuid}/retry",
    "sector-snap-up": "POST sectors/{uuid}/snap-up",
    "sector-state-set": "PUT sectors/{uuid}/state",
    "sectors": "GET sectors",
    "sectors-failures": "GET sector-failures",
    "sender": "GET senders/{address}",
    "sender-settings": "PATCH senders/{address}",
    "senders": "GET senders",
    "sign-records": "GET wallets/records",
    "statement": "GET statements/{uuid}",
    "statement-print": "GET statements/{uuid}",
    "statements": "GET statements",
    "status": "GET status",
    "store": "GET stores/{uuid}",
    "store-attach": "POST stores",
    "store-adopt": "GET stores/{uuid}/findings",
    "store-change": "PATCH stores/{uuid}",
    "store-check": "POST stores/{uuid}/checks",
    "store-forget": "POST stores/{uuid}/forget",
    "store-leftovers": "GET stores/{uuid}/findings",
    "store-move": "POST stores/{uuid}/moves",
    "store-moves": "GET store-moves",
    "store-redeclare": "POST stores/{uuid}/redeclare",
    "store-scan": "POST stores/{uuid}/scans",
    "stores": "GET stores",
    "tenant-new": "POST tenants",
    "tenants": "GET tenants",
    "tenants-use": "GET tenant-use",
    "token-new": "POST tokens",
    "tokens": "GET tokens",
    "wallets": "GET wallets",
}
"""REST request by the name of the page's URL; the URL's values fill the request's path in order."""
PARTLY: Final = {
    "alert-channel-callback": "PATCH alert-channels/{uuid}",
    "alert-channel-settings": "PATCH alert-channels/{uuid}",
    "auto-rule-edit": "PATCH auto-rules/{uuid}",
    "blocks": "GET miners/{address}/rounds",
    "chain-sender": "GET senders/{address}",
    "charges-tenant": "GET tenants/{name}/terms",
    "charges-terms": "POST tenants/{name}/terms",
    "gateway": "GET signer-approvals",
    "miner-move-in": "GET miners/{address}/move",
    "miner-move-out": "GET miners/{address}/move",
    "multisig-propose": "POST multisigs/{address}/proposals",
    "pledge": "GET miners/{address}/pledge-price",
    "proving": "GET miners/{address}/deadlines",
    "proving-partition": "GET miners/{address}/deadlines/{index}",
    "proving-test": "POST miners/{address}/sectors/{number}/test",
    "roles": "GET miners/{address}/roles",
    "sectors-change": "POST sector-changes",
    "sectors-expirations": "GET miners/{address}/expiring",
    "sectors-remove-files": "POST sectors:remove-files",
    "sectors-snap-up": "POST sectors:snap-up",
    "tenant": "GET tenants",
    "tenant-channel-new": "POST alert-channels",
    "tenant-service": "GET service-levels",
    "tenant-timeline": "GET tenants/{name}/timeline",
    "today": "GET checks",
}
"""The same of pages that show more, or by another key: values of the same name fill the path."""
TRENDS: Final = {
    Kind.MINER: "GET miners/{address}/history",
    Kind.HOST: "GET workers/{uuid}/history",
    Kind.STORE: "GET stores/{uuid}/history",
    Kind.WALLET: "GET wallets/{address}/history",
    Kind.GAS: "GET gas/history",
    Kind.SEALING: "GET sealing/history",
}
"""That of the page of trends, by its kind; the page's key fills the path."""
OF_LIST_PAGES: Final = ("cursor", "limit", "offset")
DRY_RUN: Final = ("dry_run", "true")
"""What is pasted as it stands only says what it would do."""


class Twin(NamedTuple):
    """A page's command and curl line."""

    command: str
    curl: str


def twin_of(request: HttpRequest) -> Twin | None:
    """Return a page's command and curl line, with the filters that REST has too; None without a request."""
    match = request.resolver_match
    if match is None or (act := _acts().get(_way(match))) is None:
        return None
    values = _values(act, match)
    query = list(_filters(act, request))
    path = act.path
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    address = f"{request.scheme}://{request.get_host()}{ROOT}{path}" + (
        f"?{urlencode(query)}" if query else ""
    )
    needed = {field.name: field.name.upper() for field in act.body if field.is_required}
    options = [_option(act, name, value) for name, value in (*query, *needed.items())]
    method = "" if act.method == "GET" else f"-X {act.method} "
    body = ""
    if act.sends == JSON:
        body = f"-H 'Content-Type: application/json' -d '{json.dumps(needed)}' "
    return Twin(
        " ".join(["poolsite", act.noun, act.verb, *map(shlex.quote, values.values()), *options]),
        f'curl -H "Authorization: Bearer $TOKEN" {method}{body}{shlex.quote(address)}',
    )


def _way(match: ResolverMatch) -> str:
    if match.view_name == "trends":
        return TRENDS.get(match.kwargs["kind"], "")
    return TWINS.get(match.view_name, "") or PARTLY.get(match.view_name, "")


def _values(act: Act, match: ResolverMatch) -> dict[str, str]:
    """Return what fills the path of the request; in capitals what the page's address does not hold."""
    if match.view_name == "trends":
        return dict.fromkeys(act.arguments, match.kwargs["key"])
    if match.view_name in PARTLY:
        return {name: str(match.kwargs.get(name, name.upper())) for name in act.arguments}
    return dict(zip(act.arguments, map(str, match.kwargs.values()), strict=True))


def _filters(act: Act, request: HttpRequest) -> Iterator[tuple[str, str]]:
    """Yield the page's filters that REST has, as REST writes them, without which page of a list it is."""
    for field in act.query:
        known = {choice.lower(): choice for choice in field.choices}
        for value in request.GET.getlist(field.name) if field.name not in OF_LIST_PAGES else ():
            if field.name == "after" and _moment(value) is None:
                continue  # some lists' cursor, and of others a time
            if value and (not known or value.lower() in known):
                yield field.name, value if value in field.choices else known.get(value.lower(), value)
    if act.has_dry_run:
        yield DRY_RUN


def _moment(text: str) -> datetime | None:
    try:
        return parse_datetime(text)
    except ValueError:
        return None


def _option(act: Act, name: str, value: str) -> str:
    flag = name.replace("_", "-")
    if any(field.name == name and field.kind == "boolean" for field in (*act.query, *act.body)):
        return f"--{flag}" if value.lower() not in ("false", "0") else f"--no-{flag}"
    return f"--{flag} {shlex.quote(value)}"


@cache
def _acts() -> dict[str, Act]:
    return {f"{act.method} {act.path}": act for act in acts_read()}

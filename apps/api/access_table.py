"""Every way in over the machine interfaces, as one table: what it needs and whom it lets in.

The tests ask each row for each kind of caller; `manage.py access_table` prints it as `docs/access.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.urls import URLPattern, URLResolver

from apps.api.auth.routes import ADMIN, HANDLER, NOBODY, OWN, READ
from apps.api.auth.urls import ALL_ROUTES
from apps.api.rpc.services.registry import SERVICES, VERSIONS
from apps.api.v1.urls import urlpatterns as rest_patterns

if TYPE_CHECKING:
    from poolsite.wire.jsonrpc.parameters import RpcMethod

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route or method."""

    interface: str
    """`rest`, `auth` (sophon-auth's) or `rpc`."""
    method: str
    """HTTP method, or the versions of the path for JSON-RPC."""
    path: str
    """Route, or the JSON-RPC method's name."""
    level: str
    """Lowest level of a token that is let in; empty: everybody, without a token too."""
    scopes: tuple[str, ...] = ("",)
    """A token with scopes needs one of these; the empty word is the general scope, `*` any."""
    operator_only: bool = False
    """A tenant's token is refused whatever its level."""
    own_only: bool = False
    """A tenant's token is let in for what is the tenant's own."""
    is_channel: bool = False


def endpoints() -> list[Endpoint]:
    """Return the whole table."""
    return [*rest_entrances(rest_patterns, "/api/v1/"), *auth_entrances(), *rpc_entrances()]


def rest_entrances(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[Endpoint]:
    """Return the REST routes."""
    for pattern in patterns:
        where = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from rest_entrances(pattern.url_patterns, where)
            continue
        view = getattr(pattern.callback, "view_class", None)
        for method in METHODS:
            if view is not None and hasattr(view, method.lower()):
                yield Endpoint(
                    "rest",
                    method,
                    where,
                    view.perms.get(method, "admin"),
                    scopes=view.scopes or (view.scope,),
                    operator_only=view.operator_only or method in view.operator_methods,
                )


def auth_entrances() -> Iterator[Endpoint]:
    """Return sophon-auth's routes."""
    levels = {NOBODY: "", READ: "read", OWN: "read", HANDLER: "read", ADMIN: "admin"}
    for route in ALL_ROUTES:
        yield Endpoint(
            "auth",
            route.method,
            f"/{route.path}",
            levels[route.access],
            operator_only=route.access == ADMIN,
            own_only=route.access in (OWN, HANDLER),
        )


def rpc_entrances() -> Iterator[Endpoint]:
    """Return the JSON-RPC methods, one row where the versions agree."""
    for service in SERVICES.values():
        for name, row in service.methods.items():
            own = {version for version, methods in service.by_version.items() if name in methods}
            versions = " ".join(version for version in VERSIONS if version in {*service.versions} - own)
            yield rpc_entrance(versions, name, row)
        for version, methods in service.by_version.items():
            for name, row in methods.items():
                yield rpc_entrance(version, name, row)


def rpc_entrance(versions: str, name: str, row: RpcMethod) -> Endpoint:
    """Return one JSON-RPC method."""
    return Endpoint(
        "rpc",
        versions,
        name,
        row.perm,
        (row.scope,),
        operator_only=row.operator_only,
        is_channel=row.is_channel,
    )


def aliases_text() -> str:
    """Return the other names of methods, by what they begin with."""
    names = [alias for service in SERVICES.values() for alias in service.aliases]
    return ", ".join(f"`{prefix}_*`" for prefix in sorted({name.partition("_")[0] for name in names}))


def table_markdown() -> str:
    """Write the table for people."""
    lines = [
        "# Who may call what",
        "",
        "Made by `python manage.py access_table`; a test compares it with the code and asks every row.",
        "",
        "Levels include those before them: read, write, sign, admin.  A token with scopes (`signer`, "
        "`sealer`, `prover`) reaches only rows of these; a token without scopes reaches every row of its "
        "level.  An unknown, revoked or expired token, or one of a disabled tenant, gets 401 "
        "everywhere.  Another tenant's objects answer 404, as if they did not exist.",
        "",
        "`Filecoin.*` on `/rpc/v0` and `/rpc/v1` is forwarded to the pool's nodes, with the levels of lotus; "
        "what changes a node or signs with its wallet is the operator's.  `WalletSign` and its kin ask the "
        "tenant's own signers, `MinerCreateBlock` is for the tenant's own miners.  Ethereum's names of them "
        f"({aliases_text()}) are let in as the rows they stand for.",
        "",
        "`write` has work begin, go on or wait: pledges, data, retries, restores, hosts.  `sign` is for "
        "what is spent or given up otherwise, and for settings; so messages are pushed, changed and given up "
        "with `sign`.  A page's act needs the level of its REST row here.  JSON-RPC methods have the levels "
        "of the programs whose names they bear: their clients' tokens go on to work.",
        "",
        "| interface | method | path | level | scope | for |",
        "|---|---|---|---|---|---|",
    ]
    for row in endpoints():
        who = "everybody" if not row.level else "operator" if row.operator_only else "tenant"
        if row.own_only:
            who = "own tenant, operator"
        path = row.path.replace("|", "\\|")
        scopes = ", ".join(one or "general" for one in row.scopes)
        lines.append(f"| {row.interface} | {row.method} | `{path}` | {row.level} | {scopes} | {who} |")
    return "\n".join(lines) + "\n"

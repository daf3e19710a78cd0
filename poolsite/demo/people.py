"""Tenants with their people and tokens, wallets with their signers, and what they did in the audit log."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from datetime import timedelta
from typing import Final, NamedTuple

from django.contrib.auth.hashers import make_password

from apps.core.reasons import quoted
from apps.gateway.models import ProverConnection, SignerConnection, SignerKey
from apps.sectors.selectors.hosts import worker_target
from apps.users.models import AuditEntry, SignerGrant, Tenant, Token, User
from apps.users.selectors.audit import audit_hash
from apps.users.services.tenants import tenant_create
from apps.users.states import Perm, Role
from apps.wallets.models import SignRecord, Wallet
from apps.wallets.reasons import MESSAGE
from poolsite.demo.world import TimesGiven, World, cid, rows_write
from poolsite.filecoin.amounts import FIL
from poolsite.wire.policy_refusals import VALUE, LimitRefusal

NAMES: Final = ("aurora", "basalt", "cedar", "delta", "ember", "fjord", "granite", "harbor")
COMMENTS: Final = (
    "Founding tenant: sealing and proving on its own racks in Frankfurt",
    "Two halls in Singapore; deals of research archives",
    "Committed capacity only",
    "Moved in from a lotus cluster in the spring",
    "Snap deals for a video archive",
    "Small farm, one host",
    "Pays by power",
    "Trial until the end of the quarter",
)
FIRST_NAMES: Final = ("anna", "bo", "chen", "dmitri", "elena", "farid", "grace", "hugo", "ines", "jun")
SPARE: Final = ("treasury", "cold reserve", "gas reserve", "market escrow")


def tenants_make(world: World) -> None:
    """Make the tenants with their people and tokens."""
    for place, name in enumerate(NAMES[: world.scale.tenants]):
        row = tenant_create(name=name, comment=COMMENTS[place])
        row.created_at = world.now - timedelta(days=world.scale.days + 30 - place)
        row.save(update_fields=["created_at"])
        world.tenants.append(row)
    people = []
    password = make_password(secrets.token_urlsafe(24))  # nobody signs in as somebody made up
    for place, tenant in enumerate(world.tenants):
        for number, role in enumerate((Role.TENANT_ADMIN, Role.TENANT, Role.AUDITOR)[: 3 - place % 2]):
            name = FIRST_NAMES[(place * 3 + number) % len(FIRST_NAMES)]
            person = User(username=f"{name}.{tenant.name}", tenant=tenant, role=role, password=password)
            person.date_joined = tenant.created_at + timedelta(days=number)
            person.last_login = world.now - timedelta(hours=3 + 7 * number + place)
            people.append(person)
    rows_write(User, people)
    tokens = []
    for tenant in world.tenants:
        for name, perm, scopes in (
            ("signer", Perm.READ, ["signer"]),
            ("sealing hosts", Perm.WRITE, ["sealer"]),
            ("provers", Perm.WRITE, ["prover"]),
            ("billing export", Perm.READ, []),
        ):
            text = hashlib.sha256(f"{tenant.name} {name}".encode()).hexdigest()
            tokens.append(
                Token(
                    uuid=world.uuid(),
                    tenant=tenant,
                    name=name,
                    perm=perm,
                    scopes=scopes,
                    digest=text,
                    hint=text[-6:],
                    created_at=tenant.created_at + timedelta(hours=2),
                    last_used_at=world.now - timedelta(minutes=world.chance.randrange(1, 50)),
                    last_used_from="10.1.4.17",
                )
            )
    rows_write(Token, tokens)


def wallets_make(world: World) -> None:
    """Make each tenant's owner and control wallets, a worker's for each miner to come, and spare ones."""
    plan: list[tuple[Tenant, str, bool]] = [
        (tenant, label, is_bls)
        for tenant in world.tenants
        for label, is_bls in (("owner", False), ("window proofs", True))
    ]
    workers = world.scale.miners
    plan += [(tenant_of_miner(world, number), f"worker {number + 1:02d}", True) for number in range(workers)]
    spare = range(max(world.scale.wallets - len(plan), 0))
    plan += [(world.tenants[one % len(world.tenants)], SPARE[one % len(SPARE)], False) for one in spare]
    rows = []
    for number, (tenant, label, is_bls) in enumerate(plan):
        address = world.address_bls() if is_bls else world.address_secp()
        rows.append(
            Wallet(
                address=address,
                tenant=tenant,
                account=tenant.name,
                key_type="bls" if is_bls else "secp256k1",
                label=f"{tenant.name} {label}",
                balance=40 * FIL,
                actor_id=1_800_000 + number,
                nonce=0,
                seen_at=world.now,
                checked_at=world.now,
                moved_at=world.now - timedelta(hours=2),
                created_at=tenant.created_at + timedelta(hours=3),
            )
        )
    with TimesGiven(Wallet):
        world.wallets = rows_write(Wallet, rows)
    for wallet in world.wallets:
        if wallet.label.endswith("owner"):
            world.owners[wallet.tenant_id] = wallet
        elif wallet.label.endswith("window proofs"):
            world.controls[wallet.tenant_id] = wallet
    rows_write(
        SignerGrant,
        [
            SignerGrant(address=one.address, tenant=one.tenant, created_at=one.created_at)
            for one in world.wallets
        ],
    )
    signers_make(world)


def tenant_of_miner(world: World, number: int) -> Tenant:
    """Return whose a miner is: the first tenants have more."""
    count = len(world.tenants)
    places = [*range(count), *(place for place in range(count) for _ in range(count - place))]
    tenant: Tenant = world.tenants[places[number % len(places)]]
    return tenant


def signers_make(world: World) -> None:
    """Connect each tenant's signer with its keys, and write what it signed lately."""
    connections, keys = [], []
    for place, tenant in enumerate(world.tenants):
        own = [one for one in world.wallets if one.tenant_id == tenant.pk]
        connection = SignerConnection(
            uuid=world.uuid(),
            tenant=tenant,
            source=f"10.1.{place + 1}.9:40{place:03d}",
            process="web-1",
            created_at=world.now - timedelta(days=3 + place, hours=place),
            seen_at=world.now,
            requests=3_000 + 700 * len(own),
            failures=3 if place == 1 else 0,
            p50_ms=9.5 + place,
            p99_ms=38.0 + 9 * place,
            accounts=[tenant.name],
        )
        connections.append(connection)
        keys += [
            SignerKey(
                address=one.address,
                tenant=tenant,
                connection=connection,
                label=one.label,
                verified_at=connection.created_at,
            )
            for one in own
        ]
    rows_write(SignerConnection, connections)
    rows_write(SignerKey, keys)


def provers_connect(world: World) -> None:
    """Connect each miner's prover."""
    rows = [
        ProverConnection(
            uuid=world.uuid(),
            tenant=miner.tenant,
            actor_id=miner.actor_id or 0,
            source=f"10.2.{place}.7:41000",
            process="web-1",
            created_at=world.now - timedelta(days=2, hours=place % 30),
            seen_at=world.now,
            requests=40 + 3 * place,
            failures=1 if place == 5 else 0,
            p50_ms=2_050.0 + 17 * place,
            p99_ms=2_900.0 + 40 * place,
        )
        for place, miner in enumerate(world.miners)
    ]
    rows_write(ProverConnection, rows)


def signatures_make(world: World) -> None:
    """Write what signers signed in the last days."""
    rows = [
        SignRecord(
            at=message.filled_at or world.now,
            tenant_id=message.tenant_id,
            address=message.from_addr,
            what=MESSAGE(method=message.method, to=message.to),
            cid=message.unsigned_cid,
            asked_by="messager",
            ms=world.chance.randrange(6, 60),
            rule="proofs and sealing" if message.method else "small transfers",
        )
        for message in world.messages[-600:]
    ]
    for number, tenant in enumerate(world.tenants[:2]):
        rows.append(
            SignRecord(
                at=world.now - timedelta(hours=5 + number),
                tenant=tenant,
                address=world.owners[tenant.pk].address,
                what=MESSAGE(method=0, to=str(world.wallets[-1].address)),
                cid=cid(f"refused {number}"),
                asked_by="messager",
                error=quoted(str(LimitRefusal("small transfers", VALUE, "5 FIL", "1 FIL")), by="signer"),
            )
        )
    rows_write(SignRecord, rows)


class Done(NamedTuple):
    """An act of somebody, for the audit log."""

    days: float
    """Days ago."""
    actor: str
    action: str
    target: str
    tenant: Tenant | None
    before: dict[str, object] | None
    after: dict[str, object] | None


def audit_make(world: World) -> None:
    """Write what people and the pool did, each line chained to the one before it."""
    previous = AuditEntry.objects.order_by("-pk").values_list("entry_hash", flat=True).first() or ""
    entries = []
    for done in sorted(_done(world), key=lambda one: -one.days):
        entry = AuditEntry(
            at=world.now - timedelta(days=done.days),
            actor=done.actor,
            tenant=done.tenant,
            source="10.1.0.20",
            action=done.action,
            target=done.target,
            before=done.before,
            after=done.after,
            previous_hash=previous,
        )
        previous = entry.entry_hash = audit_hash(entry)
        entries.append(entry)
    rows_write(AuditEntry, entries)


def _done(world: World) -> Iterator[Done]:
    """Yield what was done, in no order."""
    operator, since = "operator", float(world.scale.days)
    paused: dict[str, object] = {"paused": True}
    resumed: dict[str, object] = {"paused": False}
    names: dict[int, str] = {}
    for tenant in world.tenants:
        yield Done(since, operator, "tenant.create", tenant.name, None, None, {"comment": tenant.comment})
        for number, person in enumerate(User.objects.filter(tenant=tenant).order_by("pk")):
            names.setdefault(tenant.pk, person.username)
            after: dict[str, object] = {"tenant": tenant.name, "role": str(person.role)}
            days = since - 0.5 - number
            yield Done(days, operator, "person.create", person.username, tenant, None, after)
    for number, host in enumerate(world.hosts):
        days = (number * 7 + 2) % world.scale.days + 0.3
        yield Done(days, operator, "worker.pause", worker_target(host), host.tenant, resumed, paused)
        yield Done(days - 0.1, operator, "worker.resume", worker_target(host), host.tenant, paused, resumed)
    for number, miner in enumerate(world.miners):
        days, who = (number * 5 + 1) % world.scale.days + 0.6, names.get(miner.tenant_id, operator)
        after = {"count": 8 + number % 9}
        yield Done(days, who, "sector.pledge", miner.address, miner.tenant, None, after)

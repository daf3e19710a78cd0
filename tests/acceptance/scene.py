"""Two tenants, one of whom has a sector under work: what bad input is thrown at, in one process or a pool."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from apps.chain.models import Node
from apps.chain.states import NodeCondition
from apps.core.clock import now
from apps.users.models import Token
from apps.users.services.tenants import tenant_update
from apps.users.services.tokens import token_revoke
from poolsite.wire.pipeline import WORKER_STAGES
from tests import factories, people
from tests.acceptance.bad_requests import Case


@dataclass
class Scene:
    """The names and tokens of the two, and a way to ask."""

    ask: Callable[[str, str, str, dict[str, str]], Any]
    """Method, path, body, headers to an answer of Django's test client or of httpx."""
    names: dict[str, Any]
    tokens: dict[str, str]

    def send(self, case: Case) -> Any:
        """Send a case's request."""
        filled = case.body if isinstance(case.body, str) else json.dumps(self.fill(case.body))
        body = "" if case.method == "GET" else filled
        return self.ask(case.method, case.path.format(**self.names), body, self.headers(case.who))

    def headers(self, who: str) -> dict[str, str]:
        """What shows the token of one of them."""
        return {"Authorization": f"Bearer {self.tokens[who]}"} if self.tokens[who] else {}

    def fill(self, value: Any) -> Any:
        """Put our names into a body."""
        if isinstance(value, dict):
            return {key: self.fill(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.fill(inner) for inner in value]
        if isinstance(value, str) and value[:1] == "{" and value[1:-1] in self.names:
            return self.names[value[1:-1]]
        return value

    def work_begin(self) -> None:
        """Have Alice's worker claim her sector in two starts, so that the first lease is over."""
        _, self.names["old_token"] = self._claimed("boot-1")
        self.names["worker"], self.names["token"] = self._claimed("boot-2")

    def _claimed(self, boot: str) -> tuple[str, int]:
        register = {"v": 1, "uid": "uid-1", "boot_id": boot, "name": "sealer", "host": "h", "version": "1"}
        register |= {"kinds": ["seal"], "slots": dict.fromkeys(WORKER_STAGES, 2)}
        who = self.headers("alice-sealer")
        answer = self.ask("POST", "/api/v1/workers/register", json.dumps(register), who)
        assert answer.status_code == 200, answer.content
        worker = str(answer.json()["worker_id"])
        claim = {"v": 1, "worker_id": worker, "boot_id": boot, "kinds": ["seal"], "stages": {"ADD_PIECE": 1}}
        claim |= {"new_sectors": 1, "max": 1}
        answer = self.ask("POST", "/api/v1/jobs:claim", json.dumps(claim), who)
        [job] = answer.json()["jobs"]
        return worker, int(job["token"])


def tokens_make() -> dict[str, str]:
    """Make a token of every kind that may call, or may not; the empty one is no token at all."""
    tokens = {
        "nobody": "",
        "nonsense": "nonsense",
        "alice": people.token("sign"),
        "alice-reads": people.token("read"),
        "alice-signer": people.token("read", scopes=["signer"]),
        "alice-sealer": people.token("write", scopes=["sealer"]),
        "alice-prover": people.token("write", scopes=["prover"]),
        "alice-expired": people.token("admin", expires_at=now() - timedelta(seconds=1)),
        "alice-revoked": people.token("admin"),
        "bob": people.token("write", of="bob"),
        "bob-sealer": people.token("write", of="bob", scopes=["sealer"]),
        "carol-disabled": people.token("admin", of="carol"),
        "operator": people.operator_token(),
    }
    token_revoke(Token.objects.get(hint=tokens["alice-revoked"][-8:]))
    tenant_update(tenant=people.tenant("carol"), enabled=False)
    Token.objects.update(last_used_at=now() + timedelta(days=1))  # noting a use is no consequence of asking
    return tokens


def names_make() -> dict[str, Any]:
    """Make a miner, a wallet and a sector of Alice's and of Bob's; gives what cases call them."""
    miner, other = factories.miner(), factories.miner(of="bob")
    factories.head()
    sector = factories.sector(miner)
    return {
        "miner": miner.address,
        "foreign_miner": other.address,
        "wallet": factories.wallet().address,
        "foreign_wallet": factories.wallet(of="bob").address,
        "sector": str(sector.uuid),
        "foreign_sector": str(factories.sector(other).uuid),
        "job": str(sector.job.uuid),
    }


def main(node: str) -> None:
    """Make all of it in a pool's database, with a node to ask; prints names and tokens."""
    Node.objects.create(url=node, name="tiny", condition=NodeCondition.HEALTHY)
    sys.stdout.write(json.dumps({"names": names_make(), "tokens": tokens_make()}))

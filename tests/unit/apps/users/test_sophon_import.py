from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.core import clock
from apps.users.errors import TokenRefused
from apps.users.models import MinerGrant, RateLimit, SignerGrant, Tenant, Token
from apps.users.rules.principals import SYSTEM
from apps.users.rules.sophon_records import tuples_read
from apps.users.services import sophon_import as sophon_import_module
from apps.users.services.sophon_import import sophon_import
from poolsite.filecoin.jwt import Claims, token_sign
from tests.killed_writes import Killed, kill
from tests.people import principal_by_token

pytestmark = pytest.mark.django_db

ALICE = token_sign(Claims(name="alice", perm="write", ext="x"), b"a" * 32)
ADMIN = token_sign(Claims(name="alice", perm="admin"), b"b" * 32)
GONE = token_sign(Claims(name="bob", perm="read"), b"c" * 32)
UUID = "ffc67ae6-87b5-49b7-9537-17b6361c013f"
SIGNER = "f1aqehzngfr44jzaf67cbogojpdm5q5hr427iv55i"


def token_row(text: str, name: str, perm: str, **more: Any) -> dict[str, Any]:
    return {
        "key": f"TOKEN:{text}",
        "value": {
            "Name": name,
            "Perm": perm,
            "Secret": "00" * 32,
            "Extra": "x",
            "Token": text,
            "CreateTime": "2026-11-20T06:44:09.850643893Z",
            "IsDeleted": 0,
            **more,
        },
    }


BADGER = [
    {"key": "StoreVersion", "value": 3},
    {
        "key": "USER:alice",
        "value": {"Id": UUID, "Name": "alice", "Comment": "hi", "State": 1, "CreateTime": 1},
    },
    {"key": "USER:bob", "value": {"Id": UUID[:-1] + "0", "Name": "bob", "State": 2, "IsDeleted": 0}},
    token_row(ALICE, "alice", "write"),
    token_row(ADMIN, "alice", "admin"),
    token_row(GONE, "bob", "read", IsDeleted=1),
    token_row("a.b.c", "alice", "weird"),
    {
        "key": "MINERS:01234",
        "value": {"Miner": "01234", "User": "alice", "OpenMining": False, "DeletedAt": None},
    },
    {"key": "SIGNERS:x", "value": {"Signer": SIGNER[1:], "User": "alice"}},
    {"key": "SIGNERS:y", "value": {"Signer": "1xyz", "User": "alice"}},
    {
        "key": "ReqLimit:alice",
        "value": {UUID: {"Id": UUID, "Name": "alice", "ReqLimit": {"Cap": 10, "ResetDur": 60}}},
    },
]
TOKEN_COLUMNS = "`name`,`perm`,`secret`,`extra`,`token`,`createTime`,`is_deleted`"
BOB = f"('{UUID[:-1]}0','bob','',2,1,1,0)"
MYSQL = f"""
-- MySQL dump
INSERT INTO `users` VALUES ('{UUID}','alice','it''s \\'me\\', (1)',1,1795157049,1795157049,0),{BOB};
INSERT INTO `token` ({TOKEN_COLUMNS}) VALUES ('alice','write','00','x','{ALICE}','2026-11-20 06:44:09.85',0);
INSERT INTO `token` VALUES ('bob','read','00','','{GONE}','2026-11-20 06:44:09',1);
INSERT INTO `miners` VALUES (1,'01234','alice',0,'2026-11-20 06:44:10',NULL,NULL);
INSERT INTO `signers` VALUES (1,'alice','{SIGNER[1:]}','2026-11-20 06:44:10',NULL,NULL);
INSERT INTO `user_rate_limits` VALUES ('{UUID}','alice','','','{{\\"Cap\\":10,\\"ResetDur\\":60}}');
INSERT INTO `store_versions` VALUES (1,3);
"""


def badger() -> list[str]:
    return [json.dumps(row) for row in BADGER]


@pytest.mark.parametrize("lines", [badger(), MYSQL.splitlines()], ids=["badger", "mysql"])
def test_everything_comes_over_and_tokens_stay_good(lines):
    sophon_import(lines, name="export", by=SYSTEM)

    holder = principal_by_token(ALICE, now=clock.now())
    alice = Tenant.objects.get(name="alice")
    assert (holder.tenant_name, holder.perm, holder.is_operator) == ("alice", "write", False)
    assert (str(alice.uuid), alice.enabled, Tenant.objects.get(name="bob").enabled) == (UUID, True, False)
    assert MinerGrant.objects.get().actor_id == 1234
    assert MinerGrant.objects.get().open_mining is False
    assert SignerGrant.objects.get().address == SIGNER
    assert RateLimit.objects.get().capacity == 10
    with pytest.raises(TokenRefused):
        principal_by_token(GONE, now=clock.now())


def test_an_admin_token_is_a_services_token_as_it_was():
    sophon_import(badger(), name="export", by=SYSTEM)

    assert principal_by_token(ADMIN, now=clock.now()).is_operator


def test_what_cannot_come_over_is_said():
    taken = sophon_import(badger(), name="export", by=SYSTEM)

    assert len(taken.skipped) == 2
    assert any("weird" in sentence for sentence in taken.skipped)
    assert any("1xyz" in sentence for sentence in taken.skipped)


def test_a_second_import_changes_nothing():
    sophon_import(badger(), name="export", by=SYSTEM)
    before = (Tenant.objects.count(), Token.objects.count(), SignerGrant.objects.count())

    again = sophon_import(badger(), name="export", by=SYSTEM)

    assert not any(again.made.values())
    assert (Tenant.objects.count(), Token.objects.count(), SignerGrant.objects.count()) == before


def test_the_texts_of_a_dump_are_read_with_their_quotes():
    sophon_import(MYSQL.splitlines(), name="export", by=SYSTEM)

    assert Tenant.objects.get(name="alice").comment == "it's 'me', (1)"


@pytest.mark.parametrize(
    "line",
    ['{"key": 1}', "{", "INSERT INTO `users` VALUES ('x');", "INSERT INTO `users` VALUES (1,,2);", "INSERT"],
)
def test_a_line_that_cannot_be_read_is_named_and_nothing_is_taken(tmp_path, line):
    path = tmp_path / "dump"
    path.write_text("\n".join([*badger(), line]))

    with pytest.raises(CommandError, match=f"line {len(BADGER) + 1} cannot be read"):
        call_command("import_sophon_auth", str(path))

    assert not Tenant.objects.exists()


def test_the_command_says_what_came_over(tmp_path):
    path = tmp_path / "export"
    path.write_text("\n".join(badger()))
    out = io.StringIO()

    call_command("import_sophon_auth", str(path), stdout=out, stderr=io.StringIO())

    assert out.getvalue().strip() == "imported 1 limits, 1 miners, 1 signers, 2 tenants, 3 tokens"


def test_a_kill_leaves_no_import_without_a_line(tmp_path, monkeypatch):
    path = tmp_path / "export"
    path.write_text("\n".join(badger()))
    monkeypatch.setattr(sophon_import_module, "audit_record", kill)

    with pytest.raises(Killed):
        call_command("import_sophon_auth", str(path))

    assert not Tenant.objects.exists()


def test_rows_of_values_are_told_apart():
    assert list(tuples_read("(1,'a),(b',NULL),(-2.5,'\\\\n',_binary 'x')")) == [
        [1, "a),(b", None],
        [-2.5, "\\n", "x"],
    ]

"""`manage.py runrole` and `sectorid`: filguard's flags, its notices, its allocator and its file."""

from __future__ import annotations

import io
import json
import threading
import urllib.request
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections

from apps.api.sector_counter import SectorCounter, counter_serve
from apps.core import clock
from apps.miners.models import Role
from apps.miners.states import RoleKind, RoleState
from apps.sectors.services.numbers import numbers_allocate
from apps.sectors.services.roles.assignments import host_roles_renew
from apps.users.services.tokens import TokenLimits
from poolsite.wire.jobs import JobKind
from tests import factories, people
from tests.unit.apps.sectors.sealing import NOON

LISTEN = "--sclisten=192.168.1.50:1357"
POST_MINER = f"run --window-post=true --winning-post=true --p2p=false --sctype=alloce {LISTEN}"
WINDOW_MINER = "run --winning-post=false"
SEAL_MINER = f"run --window-post=false --winning-post=false --p2p=true --sctype=get {LISTEN}"


def runrole(line: str, *, host: str = "h", miner: str = "f02001") -> list[str]:
    """Run a command line of filguard's documentation, with `runrole` for `run`."""
    out = io.StringIO()
    flags = line.removeprefix("run").split()
    call_command("runrole", f"--miner={miner}", f"--host={host}", "--once", *flags, stdout=out)
    return out.getvalue().splitlines()


def kinds_of(host: str) -> set[str]:
    return set(Role.objects.filter(host=host).exclude(state=RoleState.REMOVED).values_list("kind", flat=True))


@pytest.mark.django_db
def test_flags_give_roles_and_print_the_notices() -> None:
    factories.miner(2001)

    lines = runrole(POST_MINER)
    assert lines[0] == "This miner will be disable p2p"
    assert "allocator: held" in lines
    assert kinds_of("h") == {"window", "winning", "allocator"}

    lines = runrole(SEAL_MINER, host="s")
    assert lines[:2] == ["This miner will be disable minning block", "This miner will be disable windowPoSt"]
    assert kinds_of("s") == {"seal", "deal"}


@pytest.mark.django_db
def test_a_group_has_the_roles_of_its_hosts_flags() -> None:
    factories.miner(2001)
    for host in ("h", "i"):
        factories.worker(host=host, group="posts", kinds=[JobKind.SEAL, JobKind.WINDOW_POST])

    runrole(f"{POST_MINER} --group=posts")
    assert kinds_of("h") == kinds_of("i") == {"window", "winning", "allocator"}
    runrole(f"{WINDOW_MINER} --group=posts", host="i")
    assert kinds_of("h") == kinds_of("i") == {"window", "deal", "seal"}

    with pytest.raises(CommandError, match="no worker on x is in the group posts"):
        runrole(f"{WINDOW_MINER} --group=posts", host="x")


@pytest.mark.django_db
def test_other_flags_later_take_roles_away() -> None:
    factories.miner(2001)
    runrole(POST_MINER)

    runrole(WINDOW_MINER)

    assert kinds_of("h") == {"window", "deal", "seal"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("run --p2p=maybe", "not a boolean"),
        ("run --sctype=get", "must be used together"),
        ("run --sctype=get --sclisten=1357", "not IP:PORT"),
    ],
)
def test_bad_flags_are_refused(line: str, words: str) -> None:
    factories.miner(2001)

    with pytest.raises(CommandError, match=words):
        runrole(line)


@pytest.mark.django_db
def test_pasted_flags_need_no_miner_where_there_is_one() -> None:
    factories.miner(2001)
    call_command("runrole", "--host=h", "--once", *POST_MINER.split()[1:], stdout=io.StringIO())
    assert kinds_of("h") == {"window", "winning", "allocator"}

    factories.miner(2002)
    with pytest.raises(CommandError, match="specify the miner with --miner=f0…: there are 2:"):
        call_command("runrole", "--host=h", "--once", stdout=io.StringIO())


@pytest.mark.django_db
def test_a_clean_stop_hands_back_every_role(monkeypatch: pytest.MonkeyPatch) -> None:
    miner = factories.miner(2001)
    asked = threading.Event()
    monkeypatch.setattr("apps.api.management.commands.runrole.signal.signal", lambda *_: None)
    monkeypatch.setattr("apps.api.management.commands.runrole.threading.Event", lambda: asked)
    asked.set()  # as SIGTERM does
    other = factories.role(miner, "standby", RoleKind.WINDOW, is_held=False)
    out = io.StringIO()

    call_command("runrole", "--miner=f02001", "--host=h", "--p2p=false", stdout=out)

    assert "window: released" in out.getvalue()
    assert "winning: released" in out.getvalue()
    assert kinds_of("h") == set()
    host_roles_renew(miner.tenant_id, host="standby", kinds=[RoleKind.WINDOW], now=clock.now())
    other.refresh_from_db()
    assert other.state == RoleState.HELD


@pytest.mark.django_db
def test_unknown_miner_is_refused() -> None:
    with pytest.raises(CommandError, match="there is no miner f02002 here"):
        runrole(WINDOW_MINER, miner="f02002")


@pytest.mark.django_db(transaction=True)
def test_allocator_answers_under_a_token_while_it_holds_the_role(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.api.sector_counter.chain_client", lambda: None)
    monkeypatch.setattr("apps.api.sector_counter.numbers_allocated", lambda *_: [range(1, 3)])
    miner = factories.miner(2001)
    runrole(POST_MINER)
    host_roles_renew(miner.tenant_id, host="h", kinds=[RoleKind.ALLOCATOR], now=clock.now())
    token = people.token("sign")
    counter = SectorCounter("f02001", "h", lambda: 1)
    server = counter_serve(counter, address=("127.0.0.1", 0))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def ask(method: str, *params: Any, by: str = token) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        request = urllib.request.Request(url, body, {"Authorization": f"Bearer {by}"})
        with urllib.request.urlopen(request) as answer:
            read = json.loads(answer.read())
        return read.get("result", read.get("error", {}).get("message"))

    try:
        assert ask("SectorCounter.Next") == 0
        assert ask("SectorCounter.Next", {"count": 2, "holder": "sealer"}) == [3, 4]
        assert ask("SectorCounter.Current") == 5
        assert ask("SectorCounter.Next", by=people.token("read")).endswith("requires the sign permission")
        assert ask("SectorCounter.Next", by="x.y.z") == "this token is not registered here"
        assert ask("SectorCounter.Next", by=people.token("sign", of="bob")) == "there is no miner f02001 here"
        assert ask("SectorCounter.Next", by=people.token("sign", scopes=["prover"])).startswith(
            "sector numbers require a token without scopes"
        )
        proofs = people.token("sign", limits=TokenLimits(methods=["Gateway.*"]))
        assert ask("SectorCounter.Next", by=proofs).endswith("the token does not allow it")
        assert ask("nothing").startswith("method nothing")
        counter.token = lambda: 7
        assert ask("SectorCounter.Next") == "h holds allocator under token 1; 7 is from an earlier lease"
        away = Mock(side_effect=OperationalError("the connection is lost"))
        monkeypatch.setattr("apps.api.sector_counter.numbers_reserve", away)
        assert ask("SectorCounter.Next") == "the pool's database does not respond: try again"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        connections.close_all()


@pytest.mark.django_db
def test_sectorid_file_goes_out_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.api.management.commands.sectorid.chain_client", lambda: None)
    monkeypatch.setattr("apps.api.management.commands.sectorid.numbers_allocated", lambda *_: [])
    miner = factories.miner(2001)
    numbers_allocate(miner, count=4, now=NOON, allocated=[])
    file = tmp_path / "sectorid"

    call_command("sectorid", "export", "--miner=f02001", str(file))
    assert file.read_text() == "4\n"
    with pytest.raises(CommandError, match="already exists"):
        call_command("sectorid", "export", "--miner=f02001", str(file))
    file.write_text("9")
    call_command("sectorid", "import", "--miner=f02001", str(file))

    assert numbers_allocate(miner, count=1, now=NOON, allocated=[]) == [10]
    file.write_text("nine")
    with pytest.raises(CommandError, match="does not hold a number"):
        call_command("sectorid", "import", "--miner=f02001", str(file))

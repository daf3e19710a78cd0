"""Who gave a command, as the audit log says."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command

import apps.api.management as management
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from apps.users.selectors.principals import command_principal
from poolsite.wire.jobs import JobKind
from tests import factories


@pytest.fixture(autouse=True)
def forgets() -> Iterator[None]:
    yield
    command_principal.cache_clear()


@pytest.mark.parametrize(
    ("uid", "sudo_user", "name"),
    [(0, "", "root"), (0, "alice", "alice"), (65534, "alice", "nobody"), (54_321, "", "54321")],
)
def test_a_command_has_the_name_of_the_person_on_the_machine(
    monkeypatch: pytest.MonkeyPatch, uid: int, sudo_user: str, name: str
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: uid)
    monkeypatch.setenv("SUDO_USER", sudo_user)
    command_principal.cache_clear()

    caller = command_principal()

    assert caller.actor == f"command of {name} on {socket.gethostname()}"
    assert (caller.tenant_id, caller.perm, caller.is_operator) == (None, SYSTEM.perm, True)


@pytest.mark.django_db
def test_the_audit_log_names_who_gave_a_command() -> None:
    factories.miner(2001)
    factories.worker(host="h", kinds=[JobKind.SEAL, JobKind.WINDOW_POST])

    call_command("runrole", "--miner=f02001", "--host=h", "--once", "--window-post=true")

    assert set(AuditEntry.objects.values_list("actor", flat=True)) == {command_principal().actor}


def test_no_command_acts_as_the_pool_itself() -> None:
    """But the step of each start that makes operator and tokens."""
    folder = Path(management.__path__[0])
    own = {path.name for path in folder.rglob("*.py") if "principals import SYSTEM" in path.read_text()}

    assert own == {"bootstrap.py"}

"""What a service writes in several units is found, and each in the list is there for a reason."""

from __future__ import annotations

import ast
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

import pytest
from django.db import transaction

from apps.core import clock
from apps.users.models import LoginAttempt
from tests.service_units import CALLERS, SITE, ServiceUnits, reasons_read

NAME: Final = "apps/users/services/made_up.py:attempts_note"


ADD: Final = "LoginAttempt.objects.create(at=clock.now(), username='ann', is_good=False)"


def written(body: str) -> Callable[[], None]:
    """A service with these lines."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    names: dict[str, Any] = {"LoginAttempt": LoginAttempt, "clock": clock, "transaction": transaction}
    lines = lines.replace("add()", ADD)
    exec(compile(f"def attempts_note():\n{lines}", f"{SITE}/{NAME.partition(':')[0]}", "exec"), names)
    made: Callable[[], None] = names["attempts_note"]
    return made


@pytest.fixture
def units(monkeypatch: pytest.MonkeyPatch) -> ServiceUnits:
    made = ServiceUnits()
    made.install(monkeypatch)
    return made


ONE: Final = "with transaction.atomic():\n    add()\n    add()"


@pytest.mark.django_db
@pytest.mark.parametrize("body", ["add()", ONE])
def test_what_is_written_in_one_unit_is_whole(units: ServiceUnits, body: str) -> None:
    written(body)()
    transaction.atomic(written("add()\nadd()"))()
    with transaction.atomic():
        written("add()\nadd()")()

    assert units.end() == {}


@pytest.mark.django_db
@pytest.mark.parametrize("body", ["add()\nadd()", f"{ONE}\nadd()", f"{ONE}\n{ONE}"])
@pytest.mark.parametrize("reason", ["", "harmless", f"{CALLERS}."])
def test_what_is_written_in_several_units_needs_a_reason(units: ServiceUnits, body: str, reason: str) -> None:
    units.reasons = {NAME: reason}

    written(body)()

    assert list(units.end()) == ([] if reason else [NAME])


@pytest.mark.django_db
def test_what_a_test_writes_amid_a_service_is_not_counted(units: ServiceUnits) -> None:
    service = written("add()\nclock.now()")
    service.__globals__["clock"] = SimpleNamespace(
        now=lambda: LoginAttempt.objects.create(at=clock.now(), username="ann", is_good=False).at
    )

    service()

    assert LoginAttempt.objects.count() == 3
    assert units.end() == {}


@pytest.mark.django_db
def test_what_only_tests_call_without_a_transaction_is_found_elsewhere(units: ServiceUnits) -> None:
    units.reasons = {NAME: f"{CALLERS}."}
    names: dict[str, Any] = {"service": written("add()\nadd()")}
    exec(compile("def caller(): service()", f"{SITE}/apps/users/tasks.py", "exec"), names)

    names["caller"]()

    assert list(units.end()) == [NAME]


def test_each_service_in_the_list_is_there_and_has_its_reason() -> None:
    reasons = reasons_read()

    assert len(reasons) > 50
    assert min(map(len, reasons.values())) > len(CALLERS)
    for name in reasons:
        path, _, function = name.partition(":")
        bodies = ast.parse((SITE / path).read_text()).body
        assert function in {one.name for one in bodies if isinstance(one, ast.FunctionDef)}, name

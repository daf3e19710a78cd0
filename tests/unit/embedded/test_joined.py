"""What a console machine that joined finds wrong at itself."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from apps.core import clock
from apps.core.models import Console
from poolsite.console_folder import console_id
from poolsite.embedded import joined


@pytest.mark.django_db
def test_the_name_of_another_machine_that_works_is_refused(settings: Any, tmp_path: Path) -> None:
    settings.VAR, settings.MACHINE_NAME = tmp_path, "host"
    joined.require_own_name()
    row = Console.objects.create(machine="host", folder=console_id(tmp_path), seen_at=clock.now())
    joined.require_own_name()

    row.folder = "f" * 32
    row.save()
    with pytest.raises(ImproperlyConfigured, match=r"^POOLSITE_MACHINE: .* is called host"):
        joined.require_own_name()

    row.seen_at = clock.now() - timedelta(minutes=1)
    row.save()
    joined.require_own_name()


def test_a_start_waits_for_no_shared_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang() -> list[dict[str, str]]:
        raise AssertionError("a start looks into a shared folder")

    monkeypatch.setattr(joined, "probes_differing", hang)
    for name in ("joined_require", "restore_check"):
        monkeypatch.setattr(joined, name, lambda *_given, **_named: None)

    joined.joined_prepare("pool")


def test_nodes_that_are_not_reached_are_named_without_their_token(settings: Any, capsys: Any) -> None:
    settings.CHAIN_URLS = ["aa.secret.bb:http://127.0.0.1:1/rpc/v1"]

    joined.nodes_report()

    said = capsys.readouterr().err
    assert said.startswith("CHAIN_URLS: http://127.0.0.1:1/rpc/v1 is not reached from this machine: ")
    assert "secret" not in said

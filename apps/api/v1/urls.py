"""REST addresses: one line per room, below /api/v1/."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("apps.api.v1.accounts")),
    path("", include("apps.api.v1.audit")),
    path("", include("apps.api.v1.blocks")),
    path("", include("apps.api.v1.chain")),
    path("", include("apps.api.v1.checks")),
    path("", include("apps.api.v1.gas")),
    path("", include("apps.api.v1.message_batches")),
    path("", include("apps.api.v1.message_changes")),
    path("", include("apps.api.v1.message_diagnosis")),
    path("", include("apps.api.v1.messages")),
    path("", include("apps.api.v1.miner_addresses")),
    path("", include("apps.api.v1.miner")),
    path("", include("apps.api.v1.miner_batches")),
    path("", include("apps.api.v1.miner_changes")),
    path("", include("apps.api.v1.miner_targets")),
    path("", include("apps.api.v1.miners")),
    path("", include("apps.api.v1.nodes")),
    path("", include("apps.api.v1.pieces")),
    path("", include("apps.api.v1.policies")),
    path("", include("apps.api.v1.proving")),
    path("", include("apps.api.v1.proving_settings")),
    path("", include("apps.api.v1.recovery")),
    path("", include("apps.api.v1.roles")),
    path("", include("apps.api.v1.sealing")),
    path("", include("apps.api.v1.sector_changes")),
    path("", include("apps.api.v1.sector_failures")),
    path("", include("apps.api.v1.sector_files")),
    path("", include("apps.api.v1.sector_numbers")),
    path("", include("apps.api.v1.sector_runs")),
    path("", include("apps.api.v1.sectors")),
    path("", include("apps.api.v1.senders")),
    path("", include("apps.api.v1.stores")),
    path("", include("apps.api.v1.wallets")),
    path("", include("apps.api.v1.workers")),
    path("", include("apps.api.v1.host_settings")),
    path("", include("apps.api.v1.hosts")),
]

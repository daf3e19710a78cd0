"""Addresses of the pages."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from apps.dashboard.views import (
    account,
    chain,
    hosts,
    lab,
    mempool,
    messages,
    miners,
    sectors,
    today,
    wallets,
)

urlpatterns: list[URLPattern | URLResolver] = [
    path("", today.today, name="today"),
    path("resync/", today.resync, name="resync"),
    path("login/", account.sign_in, name="login"),
    path("logout/", account.sign_out, name="logout"),
    path("password/", account.password, name="password"),
    path("theme/", account.theme, name="theme"),
    path("miners/", miners.miners, name="miners"),
    path("miners/<str:address>/", miners.miner, name="miner"),
    path("sectors/", sectors.sectors, name="sectors"),
    path("sectors.csv", sectors.sectors_csv, name="sectors-csv"),
    path("sectors/pledge/", sectors.pledge, name="pledge"),
    path("sectors/<uuid:key>/", sectors.sector, name="sector"),
    path("sectors/<uuid:key>/retry/", sectors.retry, name="sector-retry"),
    path("sectors/<uuid:key>/back/<str:state>/", sectors.back, name="sector-back"),
    path("sectors/<uuid:key>/abort/", sectors.abort, name="sector-abort"),
    path("messages/", messages.messages, name="messages"),
    path("messages.csv", messages.messages_csv, name="messages-csv"),
    path("send/", messages.compose, name="message-compose"),
    path("message/replace/<path:key>/", messages.replace, name="message-replace"),
    path("message/mark-bad/<path:key>/", messages.mark_bad, name="message-mark-bad"),
    path("messages/<path:key>/", messages.message, name="message"),
    path("wallets/", wallets.wallets, name="wallets"),
    path("chain/", chain.chain, name="chain"),
    path("chain/mempool/", mempool.mempool, name="chain-mempool"),
    path("chain/mempool/<str:address>/", mempool.sender, name="chain-sender"),
    path("chain/<int:height>/", chain.tipset, name="chain-tipset"),
    path("chain/nodes/add/", chain.node_new, name="chain-node-new"),
    path("chain/nodes/<int:pk>/<str:op>/", chain.node_act, name="chain-node-act"),
    path("lab/", lab.lab, name="lab"),
    path("lab/<int:pk>/", lab.lab, name="lab-node"),
    path("lab/<int:pk>/reset/", lab.reset, name="lab-reset"),
    path("lab/<int:pk>/knob/<str:knob>/", lab.turn, name="lab-turn"),
    path("lab/<int:pk>/act/<str:op>/", lab.act, name="lab-act"),
    path("hosts/", hosts.hosts, name="hosts"),
    path("hosts/<uuid:key>/<str:op>/", hosts.act, name="host-act"),
]

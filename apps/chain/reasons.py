"""Why a node is not read."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from apps.core.reasons import reason

LAGS = reason("chain.lags", gettext_noop("{lag_epochs} epochs behind the newest head"))
FORKED = reason(
    "chain.forked",
    gettext_noop("at epoch {height} it has {node_tipset}, and the pool follows {pool_tipset}"),
)

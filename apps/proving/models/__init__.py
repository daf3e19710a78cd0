"""Rows of proving: deadlines, proofs of windows, declarations, checks of files, disputes, settings."""

from __future__ import annotations

from apps.proving.models.checks import CheckRun, SectorCheck
from apps.proving.models.deadlines import Deadline, FollowedWindows, Partition
from apps.proving.models.declarations import FaultDeclaration, Recovery
from apps.proving.models.disputes import Dispute, DisputesRead
from apps.proving.models.posts import PostNote, ProofAttempt, WindowPost
from apps.proving.models.settings import ProvingSettings

__all__ = [
    "CheckRun",
    "Deadline",
    "Dispute",
    "DisputesRead",
    "FaultDeclaration",
    "FollowedWindows",
    "Partition",
    "PostNote",
    "ProofAttempt",
    "ProvingSettings",
    "Recovery",
    "SectorCheck",
    "WindowPost",
]

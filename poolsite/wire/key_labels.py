"""What a signer of ours calls its keys, asked of it when it connects; other signers know no such question."""

from __future__ import annotations

from typing import Final

LABELS_METHOD: Final = "KeyLabels"
"""Without a payload, answered by an object of addresses and labels."""
LABEL_MAX: Final = 60
"""Characters of a label that the console keeps."""

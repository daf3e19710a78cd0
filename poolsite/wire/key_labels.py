"""What a signer of ours calls a key, said with the signature by which that proves itself.

It is asked of nobody: a wallet of another make has no such field, a gateway of another make passes it over.
"""

from __future__ import annotations

from typing import Any, Final

LABEL_FIELD: Final = "Label"
"""Field beside the signature."""
LABEL_MAX: Final = 60
"""Characters of a label that the console keeps."""


def label_read(answer: Any) -> str:
    """Return the label in the answer with a key's proof; empty if there is none."""
    label = answer.get(LABEL_FIELD) if isinstance(answer, dict) else None
    return label if isinstance(label, str) else ""

"""Writing automatic rules, and carrying them out."""

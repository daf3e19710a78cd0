"""Recovery after a restore."""

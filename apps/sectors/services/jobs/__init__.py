"""Jobs: claimed under a lease, reported step by step."""

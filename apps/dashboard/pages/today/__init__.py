"""Today, the overview."""

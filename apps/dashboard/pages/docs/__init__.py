"""The documentation, as the repository has it, under /docs/."""

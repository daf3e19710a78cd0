"""Writing accounts: tenants, people, tokens, grants and the audit log."""

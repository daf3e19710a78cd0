"""Reading accounts: who a token or a person is, what a tenant owns."""

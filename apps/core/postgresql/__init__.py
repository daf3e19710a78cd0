"""Django's PostgreSQL backend, which asks a server on this machine less."""

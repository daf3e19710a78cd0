"""The pool of one machine: PostgreSQL, Redis and all processes under one supervisor."""

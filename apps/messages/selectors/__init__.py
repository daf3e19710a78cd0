"""Reading messages, senders, gas, rules and what the pool knows of receivers."""

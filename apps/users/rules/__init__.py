"""Who asks, how much, and how secrets are encrypted: no row is read here."""

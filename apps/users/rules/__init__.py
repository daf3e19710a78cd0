"""Who asks and how much, how secrets are encrypted, what a sophon-auth stored: no row is read here."""

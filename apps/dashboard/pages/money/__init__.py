"""Money: what miners earned and what it cost."""

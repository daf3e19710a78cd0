"""The raw bytes of pieces: kept in files, fetched from sources, delivered to destinations."""

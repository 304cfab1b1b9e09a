"""Results -> numbers."""

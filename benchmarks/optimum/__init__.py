"""The best possible return, by dynamic programming."""

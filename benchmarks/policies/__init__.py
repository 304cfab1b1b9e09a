"""Load, record and score policies."""

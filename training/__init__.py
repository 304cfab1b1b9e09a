"""One run -> one run directory, whichever implementation."""

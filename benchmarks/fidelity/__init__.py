"""Is a TD3 the published one? For any implementation; kit.py needs NumPy alone."""

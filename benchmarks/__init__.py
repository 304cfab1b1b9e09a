"""Experiments: many runs, and the tables and figures that compare them."""

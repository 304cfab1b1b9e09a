"""Speeds side by side."""

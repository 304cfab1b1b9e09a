"""Publish runs in results/, make the pages that show them, verify other runs against them."""

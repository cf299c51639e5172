"""Structural schemas: what they fill in, take away and refuse."""

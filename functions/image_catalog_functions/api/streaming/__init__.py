"""Streaming: the catalog's events as they come, read from the audit (`GET /events`)."""

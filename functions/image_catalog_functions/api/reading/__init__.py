"""The calls that only read: answered from an index that follows the API server's watch."""

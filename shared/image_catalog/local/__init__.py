"""The local stack: the embedded parts that stand in for a cluster on laptops and in tests."""

"""Bodies in and out: content types, protobuf, Tables and the cells in them."""

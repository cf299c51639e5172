"""Objects in memory, and the reads of many of them: lists, watches and selectors."""

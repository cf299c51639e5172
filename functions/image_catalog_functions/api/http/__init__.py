"""What every call has in common: problems, bodies, answers, probes, documents, and the cache in front."""

"""The Image Catalog's common package: models, policy, and the doors to registries, clusters and brokers."""

__all__ = ["__version__"]

__version__ = "0.1.0"

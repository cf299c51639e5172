"""The functions of the Image Catalog."""

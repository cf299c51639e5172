"""The embedded Kubernetes API: the subset that the functions and kubectl use, driven by CRDs."""

"""What is said about the calls: the OpenAPI document, and the two pages that are rendered from it."""

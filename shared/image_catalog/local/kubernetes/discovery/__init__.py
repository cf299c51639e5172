"""What is served, told to clients before they ask for it: groups, resources and OpenAPI."""

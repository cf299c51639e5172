"""Objects on their way into the store: what the server fills in, keeps, and refuses."""

"""Push notifications of registries: who may send them, what they say, and whom they have checked at once."""

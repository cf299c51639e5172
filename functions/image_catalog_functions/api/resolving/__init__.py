"""``GET /resolve``: which image to flash, and why none of the others."""

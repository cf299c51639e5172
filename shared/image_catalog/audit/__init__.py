"""The durable history of who did what, in a database; the only code that speaks SQL."""

"""What was: who did what, which versions an entry had, and the catalog at a moment."""

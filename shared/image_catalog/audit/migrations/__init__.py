"""How the audit's database came to be what it is: a module for each version, run by alembic."""

"""The commands of ``caib``, a module each: importing one declares it, and running it imports what it needs."""

"""The two command lines: ``caib`` for users, ``image-catalog`` for operators."""

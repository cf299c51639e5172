"""The map of the house: every function, what wakes it, what it tells the world.

=========  ======================================================  =============================================
function   wakes on                                                emits
=========  ======================================================  =============================================
publish    ImageBuild added or updated; ``publish.requested``      ``image.published`` and the phase it led to;
                                                                   ``publish.rejected``
verify     CatalogImage added or updated;                          ``image.available``, ``image.unavailable``,
           ``verification.requested``; ``test.reported``;          ``image.failed``, ``image.drifted``,
           ticks of ``reverify``; from the API alone               ``image.published``, ``image.verified``; to the
           ``artifacts.requested``                                 API alone ``artifacts.located``
reverify   ticks of the PingSources ``reverify`` and ``sweep``     ``verification.requested``,
                                                                   ``publish.requested``
cleanup    CatalogImage updated or deleted; ``sweep`` ticks        ``image.removed``
audit      every catalog event; CatalogImage added, updated,       nothing
           deleted; what no function could take (dead letters)
=========  ======================================================  =============================================

``api`` answers people over HTTP: no event wakes it, and it has packages of its own. It
emits ``image.recalled`` and ``image.restored``.

Each other folder holds one function: ``main.py`` wires it, ``handler.py`` does the
work. Functions do not know each other; they meet in events and in entries.
"""

"""Looking after what is stored: count sessions, remove them, empty caches.

The command, the page and the sweep inside of Zope are made of these functions.
They work while Zope serves.  Options are those of ``ISessionConfig``; what
they leave out has the default.  All functions raise StoreUnavailable for a
store that cannot be used, and CannotMaintain.
"""

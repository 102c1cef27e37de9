"""Maintain what is stored: count sessions, remove them, empty caches.

The command, the page and the sweep inside Zope are built from these
functions.  They work while Zope is running.  Options are those of
``ISessionConfig``; an option that is missing has its default.  Every function
raises StoreUnavailable if a store cannot be used, and CannotMaintain if the
store or the configuration does not allow the operation.
"""

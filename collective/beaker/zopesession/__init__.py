"""``request.SESSION`` and ``session_data_manager``, as code for Zope's own
sessions expects them, on top of the sessions of this package."""

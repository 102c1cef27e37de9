``session.zope_session on`` provides ``request.SESSION`` and ``session_data_manager`` for code written for Zope's own sessions.

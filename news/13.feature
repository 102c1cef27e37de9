``session.sweep_interval`` has Zope remove expired sessions. With a ``session.timeout``, ``session.type memory`` drops them by itself.

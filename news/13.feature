``session.zope_session on`` offers ``request.SESSION`` and ``session_data_manager`` on top of the sessions of this package, for code that was written for Zope's own sessions: see "Moving from Products.Sessions and Products.mcdutils".
``environ["beaker.session"]`` has the method ``set``, too.

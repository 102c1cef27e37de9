Plone loads the package's ZCML without a slug. The extras ``redis``, ``memcached``, ``sqlalchemy``, ``mongodb`` and ``crypto`` install client libraries.

Cached values are signed with ``cache.secret``, or else a key derived from ``session.secret``, so nobody who can write to the store can run code in Zope.

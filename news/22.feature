``cache.memoize REGION`` has all Zopes share what Plone keeps with ``@ram.cache``, and the pages that plone.app.caching keeps in RAM.

"""Sessions and caches for Zope and Plone, on the Beaker library."""

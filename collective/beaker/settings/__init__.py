"""From the beaker section of zope.conf to checked options."""

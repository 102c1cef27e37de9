"""From zope.conf's beaker section to checked options."""

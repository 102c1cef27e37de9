"""Caches: the results of functions, kept for everybody.

``cached`` keeps the results of a function.  ``vary`` says what they depend
on besides the arguments, ``tags`` what they were made from, and ``drop``
drops what was made from something that has changed.
"""

from collective.beaker.caching.cached import cached
from collective.beaker.caching.tags import drop
from collective.beaker.caching.vary import by_context
from collective.beaker.caching.vary import by_language
from collective.beaker.caching.vary import by_roles
from collective.beaker.caching.vary import by_site
from collective.beaker.caching.vary import by_url
from collective.beaker.caching.vary import by_user
from collective.beaker.caching.vary import of_context


__all__ = [
    "by_context",
    "by_language",
    "by_roles",
    "by_site",
    "by_url",
    "by_user",
    "cached",
    "drop",
    "of_context",
]

"""How fast sessions are, beside what else a Zope could use.

``python -m benchmarks`` compares, ``python -m benchmarks.growth`` fills the
stores.  Both start real servers of their own.
"""

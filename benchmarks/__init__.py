"""How fast sessions are, compared with what else a Zope could use.

``python -m benchmarks.compare`` compares, and ``python -m benchmarks.growth``
fills the stores.  Both start real servers of their own.
"""

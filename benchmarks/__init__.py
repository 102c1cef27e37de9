"""How fast sessions are, compared with what else a Zope could use.

``python -m benchmarks.compare`` compares, ``python -m benchmarks.growth``
fills the stores, and ``python -m benchmarks.parts`` shows what takes long.
All of them start real servers of their own.
"""

``TestSession`` has all methods of a session, and there are layers for plone.testing, such as ``BEAKER_FIXTURE``. Set ``zcmlPackages`` in a subclass of ``BeakerFixture`` to load your own packages.

"""Sessions in a store, made without a request."""

import time

from collective.beaker.ids import new_id
from collective.beaker.tests.helpers.sessions import open_stored


class Sessions:
    """Sessions in a store, made for a test."""

    def __init__(self, options):
        self.options = options
        self.session = open_stored(**options)
        self.store = self.session.store

    def make(self, idle=0, age=None, **values):
        """Store a session that nobody has used for so many seconds."""
        now = time.time()
        times = {
            "_creation_time": now - (idle if age is None else age),
            "_accessed_time": now - idle,
        }
        return self.put(self.session.policy.codec.encode(times | values))

    def alone(self):
        """Remove what tests before this one have left."""
        for name, _ in list(self.store.walk_all()):
            self.store.delete(name)
        return self

    def put(self, payload):
        id = new_id()
        assert self.store.swap(id, None, payload)
        return id

    def ids(self):
        return {id for id, _ in self.store.walk()}


def options_of(store):
    options = dict(vars(store))
    del options["folder"]
    return options


def last(results):
    *_, result = results
    return result

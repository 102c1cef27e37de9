"""The standard library's own tests of mappings, on a session."""

from collections.abc import Mapping

import pytest

from collective.beaker.tests.helpers.sessions import PlainSession
from collective.beaker.tests.helpers.sessions import open_stored


# Some distributions of Python come without it.
mapping_tests = pytest.importorskip("test.mapping_tests")


class EmptySession(PlainSession):
    """A new session that holds what is given, and nothing of Beaker's.

    In three things, sessions differ from dictionaries on purpose: they are
    always true, two of them are never equal, and a copy is no session.
    """

    def __init__(self, *args, **kwargs):
        session = open_stored()
        super().__init__(session.policy, session.opened)
        self.clear()
        self.update(*args, **kwargs)

    def __bool__(self):
        return len(self) > 0

    __eq__ = Mapping.__eq__
    __hash__ = PlainSession.__hash__

    def copy(self):
        return type(self)(super().copy())


class TestMappingProtocol(mapping_tests.TestMappingProtocol):
    """What holds for a dictionary holds for a session."""

    type2test = EmptySession
    test_fromkeys = None  # nobody makes a session of keys

    def _empty_mapping(self):
        return self.type2test()

    def _full_mapping(self, data):
        return self.type2test(data)

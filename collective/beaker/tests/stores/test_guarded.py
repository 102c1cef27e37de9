"""What stores of sessions and of values make of failures."""

import pytest

from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.stores.guarded import Guarded


class Unreliable(Guarded):
    """A store whose server may not answer."""

    failures = (TimeoutError,)


def wait_in_vain():
    raise TimeoutError


def test_who_began_before_a_time_out_has_no_news_of_the_server(impatient):
    store = Unreliable("memory")

    def wait_for_longer():
        with pytest.raises(StoreUnavailable):
            store._guarded(wait_in_vain)
        assert store._guarded(lambda: "back") == "back"
        raise TimeoutError

    with pytest.raises(StoreUnavailable):
        store._guarded(wait_for_longer)
    assert not store._circuit.is_open

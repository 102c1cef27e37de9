"""Sessions that the visitor's browser keeps."""

import time


def test_a_new_session_in_a_cookie_knows_its_creation_time(config, session):
    config.update(type="cookie", validate_key="a key for the tests")

    assert session.created <= time.time()
    assert session.last_accessed is None

"""What a session tells of the client with which it became a user's."""

import pytest

from collective.beaker.session.clients import LONGEST
from collective.beaker.session.clients import describe_client


@pytest.mark.parametrize(
    ("user_agent", "told"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 "
            "Firefox/145.0",
            "Firefox on Linux",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 "
            "(KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like "
            "Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
            "Chrome on Android",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) "
            "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 "
            "Mobile/15E148 Safari/604.1",
            "Safari on iPhone",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605."
            "1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15",
            "Safari on macOS",
        ),
        ("curl/8.14.1", "curl"),
        ("", ""),
        ("<script>alert(1)</script>", ""),
        ("x<script>", "x"),
        ("a" * 1000, "a" * LONGEST),
    ],
)
def test_a_client_is_told_in_a_few_words(user_agent, told):
    assert describe_client(user_agent) == told

"""Where the documentation is."""

DOCUMENTATION = "https://collectivebeaker.readthedocs.io/en/latest"
"""The address of its start page, without a slash at the end."""


def page_url(page: str) -> str:
    """Return the address of a page, such as sessions."""
    return f"{DOCUMENTATION}/{page}.html"

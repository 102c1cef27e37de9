"""How long tests wait."""

SECONDS = 30
"""How long a test waits for another request before it fails."""

"""A shop that knows its visitors."""

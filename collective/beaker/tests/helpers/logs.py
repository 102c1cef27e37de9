"""What the package has logged."""


def log_of(caplog):
    """Return the package's records of the log."""
    return [
        record
        for record in caplog.records
        if record.name == "collective.beaker"
    ]

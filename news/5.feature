``session.secret_fallbacks`` and ``session.validate_key_fallbacks`` accept former keys, so changing a key ends no sessions.

A site can have its own ``ISessionConfig``, as options are looked up when the session is first used.

No log line, error page or dump of a request shows the id or the data of a session, or the password of a store.

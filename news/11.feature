Redis Sentinel is supported for sessions and caches: ``redis+sentinel://[user:password@]host:port,host:port/service/number``, or ``rediss+sentinel://`` for TLS.

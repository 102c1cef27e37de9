``@@beaker-status.json`` and, for Prometheus, ``@@beaker-metrics`` are for monitoring, and ``@@beaker-health`` is for load balancers.

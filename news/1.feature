Parallel requests of one visitor keep each other's changes, and cannot bring back a session that has ended. This holds for all stores except cookies.

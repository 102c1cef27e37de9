Parallel requests of one visitor keep each other's changes, and do not bring back a session that ended, on all stores but cookies.

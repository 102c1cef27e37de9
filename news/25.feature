Emptying a cache region works in memcached, too, and never removes sessions. Expired values in files and databases are removed every hour.

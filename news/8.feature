``session.type cookie`` works, with room for 4096 bytes, 200 of which are left for a login. A larger session is an error, and the former cookie stays.

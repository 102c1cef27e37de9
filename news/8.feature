``session.type cookie`` works, with room for 4096 bytes. A larger session is an error, and the former cookie stays.

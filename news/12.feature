``session.socket_timeout`` limits how long a request waits for a server. A store that hangs is then left alone for 5 seconds instead of holding every thread of Zope.

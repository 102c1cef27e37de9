``session.absolute_timeout`` limits how long a session lasts after it began.

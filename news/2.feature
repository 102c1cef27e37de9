``session.transactional on`` stores a session only if the transaction of its request is committed.

Sessions stored by Beaker's middleware can be read, and it can read those of this package, except in cookies.

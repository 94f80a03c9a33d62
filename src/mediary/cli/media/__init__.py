"""`mediary media`: the library from the command line, beside a running server or without one."""

"""Client traffic: sockets and the management API."""

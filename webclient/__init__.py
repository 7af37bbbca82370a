"""The web client of the example system: a page, and a server that can push.

Runs against whatever stack it is pointed at (``STACK_NAME``): locally through
``AWS_ENDPOINT_URL``, on AWS with the usual credentials. Shares the push library and the token
verification with the functions; there is no second copy.
"""

"""The load generator: processes of their own, that report what they measured as JSON lines.

Each reports its own CPU time, so that a reader can see that it was not the bottleneck.
"""

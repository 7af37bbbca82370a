"""CloudFormation: stacks, change sets and rollback over the APIs of the other services.

What lives where: ``template`` ``parameters`` ``values`` ``schemas`` ``plan`` are pure and decide;
``deploy`` acts, resource by resource; ``kinds`` and the ``kind_*`` modules say how a resource type
is made through its service's own API; ``api`` answers the CloudFormation operations; ``wire``
reads and writes them. ``services.cloudformation`` is the way in.
"""

"""The LocalStack plugin: our engine inside the open LocalStack core.

Only this folder knows LocalStack. ``engine`` is the embedded engine with LocalStack's services
behind it, in an event loop of its own (``host``); everything else here is a way in, found by
LocalStack through entry points: ``hooks`` start and stop it, ``server`` lets it answer LocalStack's
own port, ``providers`` hand API calls to it, ``resources`` are its CloudFormation types, and
``executor`` runs functions by our runner. ``start`` runs all of it in the foreground.
"""

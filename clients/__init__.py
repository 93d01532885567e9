"""The client matrix: unmodified client packages against one real server on the embedded model.

Each client is a module that runs in an environment of its own and knows the API by its client only.
"""

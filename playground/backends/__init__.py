"""Who answers requests: the local engine, and a scripted stand-in for tests of the faces."""

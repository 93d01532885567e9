"""`playground bench`: the engine's speed on this machine, beside the floor and beside its peers.

Stands above the engine and measures it through its own protocol. Ratios of one run are what
counts: whatever else the machine does slows both sides of them.
"""

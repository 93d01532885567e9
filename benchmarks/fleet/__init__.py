"""How many servers does a load need? A simulator of engines behind a router, and its check."""

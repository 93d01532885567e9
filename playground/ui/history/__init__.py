"""The sidebar of kept conversations, and how the tabs keep theirs."""

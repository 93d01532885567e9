"""What speed is measured with; nothing here is asserted."""

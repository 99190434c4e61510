"""What an encoder knows of tasks while it trains."""

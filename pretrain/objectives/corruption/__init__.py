"""What an objective hides or replaces before the model sees a row."""

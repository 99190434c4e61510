"""What a model may be used under, and what the model that it began with may."""

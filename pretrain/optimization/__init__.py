"""One training step: gradients, optimizer, learning rate."""

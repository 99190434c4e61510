"""What the training steps say of themselves: the means of a window, and the updates that were left out."""

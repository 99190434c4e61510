"""The order of the stages, what they leave for training, and the commands beside it."""

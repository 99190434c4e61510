"""What is learnt: one package for each objective."""

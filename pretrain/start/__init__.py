"""What a new run begins with where its recipe names a trained model: that model's sizes, its parameters, its rows of the vocabulary."""

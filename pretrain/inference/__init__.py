"""A trained model at work on a file of texts: vectors of sentences, and the answers of a fine-tuned model."""

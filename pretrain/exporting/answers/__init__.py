"""What an exported model answers: words for masks, tokens that were replaced, how a text continues."""

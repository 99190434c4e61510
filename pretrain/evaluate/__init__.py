"""What a model is worth downstream: fine-tuning on tasks, official metrics, and comparisons."""

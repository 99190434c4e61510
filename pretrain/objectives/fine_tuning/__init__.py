"""Fine-tuning: what a labelled example should be told as. No recipe of pretraining chooses it, so it is no member of the open union."""

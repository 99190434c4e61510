"""A local page on which models answer side by side; what they answer comes from `pretrain.exporting.answers` and `pretrain.inference`."""

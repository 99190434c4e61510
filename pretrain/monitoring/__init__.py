"""What a person sees of a run: metrics, curves, where the time goes."""

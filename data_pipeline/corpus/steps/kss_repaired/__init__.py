"""The splitter `kss_repaired`: a linear model at every blank and stop, KSS's cut among its features, and rules for marks.

- `characters`: what each character is.
- `kss_cuts`: where KSS 1.3.1's rules for 다 and 요 would cut.
- `pairs`: which quotes and brackets belong together.
- `places`: where a sentence may end, with what stands before and behind.
- `features`: what the model sees of such a place.
- `scanner`: from a text to the starts of its sentences; `weights.npy` is the model, made by `python -m benchmarks.sentences.train`.
"""

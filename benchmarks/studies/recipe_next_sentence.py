"""The small BERT of the studies, masked LM and next sentence."""

from dataclasses import replace

from benchmarks.studies import recipe
from data_pipeline.recipe import SentencePairs

data = replace(recipe.data, examples=SentencePairs(length=128))
training = recipe.training

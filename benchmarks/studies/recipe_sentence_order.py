"""The small BERT of the studies, masked LM and sentence order."""

from dataclasses import replace

from benchmarks.studies import recipe
from data_pipeline.recipe import SentenceOrder

data = replace(recipe.data, examples=SentenceOrder(length=128))
training = recipe.training

"""A GPT-2 of the studies' sizes. It is no phase before masked LM: no objective trains an encoder causally."""

from dataclasses import replace

from benchmarks.studies import recipe
from configs.mini import gpt2
from data_pipeline.recipe import Causal

data = replace(recipe.data, examples=Causal(length=128))
training = gpt2.training

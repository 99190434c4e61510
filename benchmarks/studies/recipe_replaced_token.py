"""An ELECTRA of the studies' sizes."""

from benchmarks.studies import recipe
from configs.mini import electra

data = recipe.data
training = electra.training

from pathlib import Path

import jax
import numpy as np
import pytest
from tiny_run import TINY, changed
from toy_family.config import ToyConfig
from toy_objective.recipe import Tandem

from data_pipeline.contract.records import read_header
from pretrain.devices.sharding import path_name
from pretrain.job import objective_of
from pretrain.optimization.norms import group_norms


def test_the_groups_of_the_table_hold_all_parameters_once(records_folder: Path) -> None:
    objective = objective_of(TINY, read_header(records_folder))
    params = objective.init()
    norms = group_norms(params, objective)
    assert norms.keys() == {"body", "table", "head"}
    of_all = np.sqrt(sum(float(np.square(leaf).sum()) for leaf in jax.tree.leaves(params)))
    assert np.linalg.norm([float(norm) for norm in norms.values()]) == pytest.approx(of_all, rel=1e-6)
    tables = [leaf for path, leaf in jax.tree.leaves_with_path(params) if "embedding" in path_name(path)[-9:]]
    assert norms["table"] == pytest.approx(np.sqrt(sum(np.square(leaf).sum() for leaf in tables)), rel=1e-6)


def test_several_models_have_groups_of_their_own(records_folder: Path) -> None:
    recipe = changed(TINY, model=ToyConfig(), objective=Tandem())
    objective = objective_of(recipe, read_header(records_folder))
    norms = group_norms(objective.init(), objective)
    assert norms.keys() == {"first/body", "first/table", "first/head", "second/body", "second/head"}

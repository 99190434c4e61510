"""On Ray the same tasks leave the same bytes, whatever dies."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prepared_runs import results, run
from test_local_engine import is_running, make_tasks, texts, wait_until

from data_pipeline.contract.errors import InputError
from data_pipeline.recipe import DataRecipe
from data_pipeline.tasks.engines.ray import RayEngine
from data_pipeline.tasks.engines.runner import Runner
from data_pipeline.tasks.shard_task import Done, ShardTask

ray = pytest.importorskip("ray", reason="the extra [ray] is not installed")
TESTS = Path(__file__).parents[3]
NODE = {"object_store_memory": 80 << 20, "include_dashboard": False}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head with one processor and this machine's files; tests may add nodes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS.parent), str(TESTS / "support")]))
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args={**NODE, "num_cpus": 1})
        yield cluster
        ray.shutdown()
        cluster.shutdown()


def run_tasks(cluster: Any, tasks: list[ShardTask]) -> list[Done]:
    return Runner(RayEngine(cluster.address)).run(tasks, lambda found: None, lambda done: None)


def test_a_prepared_run_has_the_bytes_of_the_local_engine(
    cluster: Any, corpus: Path, tiny_recipe: Callable[..., DataRecipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny_recipe(corpus / "part-*.jsonl")
    local = run(tmp_path / "local", recipe)
    monkeypatch.chdir(tmp_path)
    on_ray = run(Path("ray"), recipe, ray_address=cluster.address)
    assert results(on_ray.path) == results(local.path)


def test_results_come_in_the_order_given_and_a_dead_worker_costs_nothing(cluster: Any, tmp_path: Path) -> None:
    tasks = make_tasks(tmp_path, 4)
    tasks[1] = make_tasks(tmp_path, 4, "die_once")[1]
    done = run_tasks(cluster, tasks)
    assert [each.task.name for each in done] == [task.name for task in tasks]
    assert texts(done) == [task.parameters["text"] for task in tasks]


@pytest.mark.slow
def test_the_tasks_of_a_lost_node_go_on_elsewhere(cluster: Any, tmp_path: Path) -> None:
    node = cluster.add_node(**NODE, num_cpus=1)
    cluster.wait_for_nodes(timeout=120)
    tasks = make_tasks(tmp_path, 3, "hold")
    marks = [tmp_path / f"calls{task.name}" for task in tasks]

    def lose_node() -> None:
        while sum(mark.exists() for mark in marks) < 2:
            time.sleep(0.05)
        cluster.remove_node(node, allow_graceful=False)
        workers = [int(mark.read_text(encoding="utf-8")) for mark in marks if mark.exists()]
        wait_until(
            lambda: not all(map(is_running, workers)), seconds=120
        )  # it ends when it finds that its node is gone
        (tmp_path / "calls-let-go").touch()

    loser = threading.Thread(target=lose_node)
    loser.start()
    done = run_tasks(cluster, tasks)
    loser.join()
    assert texts(done) == [task.parameters["text"] for task in tasks]
    starts = [len(mark.read_text(encoding="utf-8").splitlines()) for mark in marks]
    assert sorted(starts) == [1, 1, 2]


def test_errors_of_a_task_are_the_commands_errors(cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^corpus/part\.jsonl:3: not JSON$"):
        run_tasks(cluster, make_tasks(tmp_path, 1, "wrong_input"))
    with pytest.raises(ZeroDivisionError, match=r"shard_operations\.py"):  # a bug keeps the traceback of its worker
        run_tasks(cluster, make_tasks(tmp_path, 1, "bug"))


def test_a_node_with_other_code_is_refused(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_pipeline.tasks.engines.ray.all_code", lambda: "another")
    with pytest.raises(InputError, match=r"the node .+ has another version of this code or of its libraries"):
        run_tasks(cluster, make_tasks(tmp_path, 1))


def test_a_run_folder_that_a_node_does_not_see_is_named(cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"absent: the node .+ does not see it; use a file system that all nodes share"
    ):
        run_tasks(cluster, make_tasks(tmp_path / "absent", 1))


def test_an_address_without_a_cluster_is_named(tmp_path: Path) -> None:
    ray.shutdown()
    with pytest.raises(
        InputError, match=r"--ray-address 127\.0\.0\.1:1: no Ray cluster to work with .*ray start --head"
    ):
        Runner(RayEngine("127.0.0.1:1")).run(make_tasks(tmp_path, 1), lambda found: None, lambda done: None)

"""The tasks of a stage, whatever the engine: what is done stays done, what is damaged is made again."""

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

from data_pipeline.contract.errors import WorkError
from data_pipeline.contract.storage import InputFile, sha256_of_file
from data_pipeline.tasks.shard_task import Done, Output, ShardTask, done_path_of, finished

OnDone = Callable[[Done], None]
Result = TypeVar("Result")
THREADS = 8

logger = logging.getLogger("data_pipeline")


class Engine(Protocol):
    """Runs idempotent tasks somewhere, in any order and as often as it likes."""

    def run(self, tasks: Sequence[ShardTask], on_done: OnDone) -> None:
        """Runs every task to its commit; `on_done` is called in this process as each finishes.

        Raises the first InputError or WorkError of a task; what others finished stays done.
        """


class DamagedOutputsError(Exception):
    """Files of done tasks that no longer hold what was written."""

    def __init__(self, outputs: Iterable[Output]) -> None:
        self.outputs = list(outputs)


class Runner:
    """Runs the stages of one command, one after another."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._whole: set[str] = set()  # files that this command wrote or has checked

    def run(self, tasks: Sequence[ShardTask], on_found: OnDone, on_done: OnDone) -> list[Done]:
        """Runs what is not done yet and returns all done tasks in the order given.

        - `on_found`: called for each task that is done already; `on_done`: for each other, when it is.

        Before anything is made from files of an earlier command, these are compared with their SHA-256, once each: a command
        that is not interrupted pays nothing, and one that finds all done reads nothing. Raises DamagedOutputsError, and what the engine raises.
        """
        done: dict[str, Done] = {}
        with ThreadPoolExecutor(THREADS) as threads:  # a bucket takes its time for each answer
            for earlier in filter(None, threads.map(finished, tasks)):
                done[earlier.task.name] = earlier
                on_found(earlier)
        remaining = [task for task in tasks if task.name not in done]
        self.check(file for task in remaining for files in task.inputs.values() for file in files)

        def note(result: Done) -> None:
            done[result.task.name] = result
            self._whole.update(output.path for output in result.outputs.values())
            on_done(result)

        if remaining:
            self._engine.run(remaining, note)
        return [done[task.name] for task in tasks]

    def check(self, files: Iterable[Output | InputFile]) -> None:
        """Compares files of earlier commands with their SHA-256, once each. Raises DamagedOutputsError."""
        listed = {file.path: file for file in files if isinstance(file, Output) and file.path not in self._whole}
        # What another machine left in a bucket is compared when it arrives.
        inputs = {path: file for path, file in listed.items() if Path(path).exists()}
        with ThreadPoolExecutor(THREADS) as threads:
            found = threads.map(lambda path: sha256_of_file(Path(path)), inputs)
            damaged = [file for file, sha256 in zip(inputs.values(), found, strict=True) if sha256 != file.sha256]
        if damaged:
            raise DamagedOutputsError(damaged)
        self._whole.update(inputs)


def mending(work: Callable[[], Result]) -> Result:
    """Does work that runs stages; where it finds damaged files, it deletes them, so that their tasks are not done, and starts over.

    Raises WorkError where a task's files are damaged again after they were made anew.
    """
    mended: set[Path] = set()
    while True:
        try:
            return work()
        except DamagedOutputsError as error:
            again = {done_path_of(output) for output in error.outputs}
            for output in error.outputs:
                if done_path_of(output) in mended:
                    raise WorkError(
                        f"{output.path}: damaged again after it was made anew; see to the disk and the memory of this machine "
                        "and run the same command again"
                    ) from None
                logger.warning("%s: not what was written there; it is made again", output.path)
                Path(output.path).unlink()
            mended |= again

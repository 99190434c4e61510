"""python -m data_pipeline.commands.sources RECIPE [flags]: for the launcher, the globs that `prepare` would read, one a line; checks the command."""

import sys
from itertools import chain

from data_pipeline.commands.flags import with_sources
from data_pipeline.commands.prepare import parsed
from data_pipeline.contract.errors import run_command


def run(arguments: list[str]) -> None:
    _, command = parsed(arguments)
    data = with_sources(command.data, [*chain(*command.source)], [*chain(*command.benchmark)])
    print("\n".join([*(source.glob for source in data.sources), *data.decontamination.benchmarks]))


if __name__ == "__main__":
    run_command(lambda: run(sys.argv[1:]))

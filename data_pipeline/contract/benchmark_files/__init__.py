"""Benchmark files: KLUE, KorQuAD, NSMC and the like. Read by decontamination and by evaluation."""

from data_pipeline.contract.benchmark_files.formats import benchmark_paths, read_benchmark
from data_pipeline.contract.benchmark_files.text import BenchmarkText

__all__ = ["BenchmarkText", "benchmark_paths", "read_benchmark"]

"""Makes the weights of `kss_repaired` again: `python -m benchmarks.sentences.train`; the same text gives the same bytes.

Writes weights.npy beside the scanner, and the file's hash into scanner.py. Twenty seconds on a core, and 1.5 GB of memory.
"""

import argparse
import hashlib
import re
from io import BytesIO
from pathlib import Path

import numpy as np

from benchmarks.sentences.training import made_weights
from data_pipeline.contract.storage import write_atomically
from data_pipeline.corpus.steps.kss_repaired import scanner


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="the folder with corpus/petitions_* and reviews_train"
    )
    found = made_weights(parser.parse_args().data)
    content = BytesIO()
    np.save(content, found)
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    code = Path(scanner.__file__)
    changed = re.sub(
        '(?m)^WEIGHTS_SHA256 = ".*"$', f'WEIGHTS_SHA256 = "{digest}"', code.read_text(encoding="utf-8"), count=1
    )
    write_atomically(scanner.WEIGHTS, content.getvalue())
    write_atomically(code, changed.encode())
    print(f"{scanner.WEIGHTS}: {len(found):,} weights, SHA-256 {digest}")


if __name__ == "__main__":
    main()

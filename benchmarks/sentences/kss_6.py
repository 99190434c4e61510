"""kss 6 in an environment of its own, for its import name is that of KSS 1.3.1: reads a JSON list of texts, writes their sentences.

python3.11 -m venv /tmp/kss-6 && /tmp/kss-6/bin/pip install kss==6.0.6 python-mecab-ko
/tmp/kss-6/bin/python benchmarks/sentences/kss_6.py < texts.json > sentences.json
"""

import json
import sys

if __name__ == "__main__":
    import kss  # type: ignore[import-untyped,unused-ignore]

    texts = json.load(sys.stdin)
    # A list of one comes back as a list of sentences.
    found = [kss.split_sentences(text, backend="mecab", num_workers=1) for text in texts]
    json.dump(found, sys.stdout, ensure_ascii=False)

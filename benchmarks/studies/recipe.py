"""The small BERT of the studies: configs/mini/bert.py on petitions, reviews and comments, without a text of the tasks.

Of the reviews a third is trained on: with them all they would be four fifths of the text.
"""

from dataclasses import replace

from configs.mini import bert
from data_pipeline.recipe import LengthFilter, Source

data = replace(
    bert.data,
    sources=(
        Source("petitions", "../shared/data/corpus/petitions_*.jsonl.gz", name="petitions"),
        Source("jsonl", "../shared/data/corpus/reviews_train.jsonl.gz", name="reviews", licence="CC0", weight=0.33),
        Source("lines", "../shared/data/corpus/news_comments.txt.gz", name="comments", licence="CC BY-SA 4.0"),
    ),
    length=LengthFilter(min_chars=10, unit="document"),
)

training = bert.training

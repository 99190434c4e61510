"""Seven emotions in single utterances, fine-tuned as the usual KoBERT tutorial does it.

Command:  python -m pretrain evaluate MODEL --task configs/tasks/emotions.py --data FOLDER
Data:     한국어 감정 정보가 포함된 단발성 대화 데이터셋 (AI Hub), saved from .xlsx as emotions.csv with
          the columns Sentence and Emotion. A random quarter is scored; the tutorial prints accuracy on train and test by epoch.

For classes of your own, copy this file and change title, train, columns and labels.
"""

from pretrain.evaluate.tasks.description import ClassColumns, TaskDescription
from pretrain.evaluate.tasks.task import Settings

task = TaskDescription(
    title="Seven emotions",
    train="emotions.csv",
    held_out=0.25,
    columns=ClassColumns(text="Sentence", label="Emotion"),
    labels=("공포", "놀람", "분노", "슬픔", "중립", "행복", "혐오"),
    settings=Settings(
        epochs=5,
        batch_size=64,
        learning_rate=5e-5,
        max_length=64,
        warmup_share=0.1,
        schedule="cosine",
        weight_decay=0.01,
        dropout=0.5,
    ),
    source="https://aihub.or.kr",
)

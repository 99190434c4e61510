"""The post-norm encoder that BERT, RoBERTa and ELECTRA share: sizes, model, parameter table. It is no family of its own."""

"""The post-norm encoder that BERT, RoBERTa, ELECTRA and ALBERT share: sizes, model, parameter table. It is no family of its own."""

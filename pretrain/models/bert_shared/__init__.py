"""BertShared (Rothe et al. 2019): one BERT as encoder and decoder, with cross-attention: sizes, model, parameter table."""

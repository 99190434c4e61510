"""All that shapes the bytes of a prepared run: what flows, the formats of sources, the steps, the stages, vocabularies and layouts."""

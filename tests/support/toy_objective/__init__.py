"""An objective over two models that share a word table, as anyone could bring one: nothing outside this package knows of it."""

"""A family of models as anyone could bring one: nothing outside this package knows of it."""

"""From files to examples, a module for each family of formats. What is wrong is an InputError naming file, row and field."""

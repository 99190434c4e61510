"""How work is done: tasks that a kill does not hurt, the engines that run them, what they cost."""

"""Which rows belong to a step, and how they get to the devices."""

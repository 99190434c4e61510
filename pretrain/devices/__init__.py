"""The devices and processes of this run: mesh, exchange between hosts, preemption."""

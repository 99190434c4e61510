"""The tasks: what their files hold, with which labels, settings and metrics."""

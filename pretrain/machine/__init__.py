"""The devices and processes of this machine."""

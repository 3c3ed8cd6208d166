"""The documentation: its commands, its code, its site."""

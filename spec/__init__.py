"""The contract: formats, operator signatures, protocols, registry and errors. Standard library only."""

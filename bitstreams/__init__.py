"""Manifests of the catalogue's bitstreams, ``BOARD/CONFIG.json``; read them by ``ninefold.spec.manifest``."""

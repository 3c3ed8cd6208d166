"""Parts of the sign miner."""

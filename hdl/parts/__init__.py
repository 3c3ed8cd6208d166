"""Parts that cores are made of."""

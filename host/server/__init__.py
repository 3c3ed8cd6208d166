"""Server of indexes over HTTP, and its client; needs the extra ``serve``."""

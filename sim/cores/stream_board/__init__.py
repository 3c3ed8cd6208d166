"""Parts of the stream board."""

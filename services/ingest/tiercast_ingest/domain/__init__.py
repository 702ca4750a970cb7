"""What a signal is, and what a submission must be to become one. Pure: bytes and times come in as arguments."""

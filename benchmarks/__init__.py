"""Speed, each part against the peer it replaces, in turn in one run: `make bench`."""

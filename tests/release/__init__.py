"""What `make release` packs, and how users install it."""

"""The rules of the house: pages, sizes, imports, and the suite itself."""

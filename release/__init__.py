"""Packs a release: what `make release` writes to dist/.

The same commit, the same locked tools, the same Python and the same compiler make the same
bytes, whatever the folder, the user, the umask and the time of day.
"""

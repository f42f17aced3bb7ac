"""What the figures become: tables, targets, a picture, the page.

May import `bench.load` and what that may.
"""

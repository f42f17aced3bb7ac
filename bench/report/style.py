"""The look of all pictures: readable on light and on dark, without any library."""

from typing import Final

__all__ = ["STYLE", "WIDTH"]

WIDTH: Final = 800
# Colours for this proxy and for others, each at least 3:1 on either background.
STYLE: Final = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 }
.own { fill: #0969da } .other { fill: #818b98 }
.mark { stroke: #1f2328; stroke-width: 1; stroke-dasharray: 3 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .own { fill: #4493f8 } .other { fill: #767f8a }
  .mark { stroke: #e6edf3 }
}"""

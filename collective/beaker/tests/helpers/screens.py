"""The sizes of a window, on a desk and on a phone."""

WIDE = {"width": 1100, "height": 1360}
PHONE = {"width": 360, "height": 1360}

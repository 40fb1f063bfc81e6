"""`python -m foreproof`: the program without its script."""

from __future__ import annotations

from foreproof.app.start import main

if __name__ == "__main__":
    main()

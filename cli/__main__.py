"""`python -m cli`: the same as `tocsin`. Refuses to differ from it."""

from __future__ import annotations

from cli.main import main

if __name__ == "__main__":
    main()

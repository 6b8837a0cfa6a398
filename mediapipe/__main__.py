"""``python -m mediapipe``: the same as the ``mediapipe`` command."""

from mediapipe.cli.app import main

if __name__ == "__main__":
    main()

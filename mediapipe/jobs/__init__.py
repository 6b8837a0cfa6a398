"""The jobs: each one file, each a source and a line of stages for the pipeline."""

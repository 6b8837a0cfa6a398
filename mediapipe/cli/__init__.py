"""The command line: parse → settings → one job → report → exit code. Nothing is decided here."""

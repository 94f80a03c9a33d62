"""`python -m mediary`."""

from mediary.cli.main import app

app(prog_name="mediary")

"""Jobs on many machines: chunks as procrastinate jobs on the same database."""

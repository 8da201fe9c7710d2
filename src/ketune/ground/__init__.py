"""What every stage stands on: errors, checks, params, paths, files, the process. No torch here."""

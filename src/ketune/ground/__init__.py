"""What every stage stands on: errors, checks, params, paths, records on disk, the process. No torch here."""

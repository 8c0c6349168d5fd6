"""A detector behind HTTP: requests that wait become batches, everything has a limit."""

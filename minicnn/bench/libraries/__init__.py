"""One module a library, with the same three functions (see worker.py); imported in that library's own process only."""

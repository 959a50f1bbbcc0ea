"""Values as they are stored: forms of types, columns of tables, records of a run, hashes of contents and code."""
